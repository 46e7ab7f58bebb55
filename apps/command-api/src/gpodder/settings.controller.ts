import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { splitItem } from '@balados/feeds-ids';
import { Problem, TakesAnyBody } from '@balados/platform-service';
import type { AccountsParts, Settings, SettingsOf } from '@balados/users-accounts';
import { plainText, TEXT_MAX_LENGTH } from '@balados/users-contracts';
import { GetItemsOfEnclosure } from '@balados/users-read';
import { MarkEpisode } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import { z } from 'zod';
import { CurrentSpeaker } from '../speaker';
import { ACCOUNTS } from '../tokens';
import { itemOf } from './actions';
import { AppGuard } from './app.guard';
import { FeedsOfApps } from './feeds-of-app';
import { CurrentApp } from './speaking-app';
import type { SpeakingApp } from './speaking-app';
import { feedOf, jsonOf } from './wire';

/** Of an episode: whether it is saved. That stands where our own API has it, and not among the settings. */
const FAVORITE = 'is_favorite';
/** gPodder.net hides something by these. To keep them and hide nothing would be a lie. */
const OF_PRIVACY = ['public_profile', 'public_subscriptions', 'public_subscription'];

const name = plainText(TEXT_MAX_LENGTH).min(1);
const isName = (text: string): boolean => name.safeParse(text).success;
const path = z.object({
  user: z.string(),
  scope: z.enum(['account.json', 'device.json', 'podcast.json', 'episode.json']),
});
const query = z.object({ device: name.optional(), podcast: z.string().optional(), episode: z.string().optional() });
const changes = z.object({
  set: z
    .custom<Record<string, unknown>>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), {
      message: 'is no object of settings',
    })
    .refine((set) => Object.keys(set).every(isName), {
      message: `holds a name that is none of at most ${TEXT_MAX_LENGTH} characters`,
    })
    .default({}),
  // There is none of what is no name.
  remove: z
    .array(z.string())
    .default([])
    .transform((keys) => keys.filter(isName)),
});

/** What apps keep with us of the account, a device, a podcast or an episode, by names of their own. */
@Controller('api/2/settings/:user/:scope')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderSettingsController {
  constructor(
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    private readonly feeds: FeedsOfApps,
  ) {}

  @Get()
  async read(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: path }) { scope }: z.infer<typeof path>,
    @Query({ schema: query }) asked: z.infer<typeof query>,
  ): Promise<Settings> {
    const { of, saved } = await this.look(app, scope, asked);
    const settings = await this.accounts.appSettings.read(app.userId, of);
    return of.scope === 'episode' ? { ...settings, [FAVORITE]: saved.length > 0 } : settings;
  }

  @Post()
  @TakesAnyBody()
  @HttpCode(200)
  async change(
    @CurrentSpeaker() speaker: Speaker,
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: path }) { scope }: z.infer<typeof path>,
    @Query({ schema: query }) asked: z.infer<typeof query>,
    @Body() body: unknown,
  ): Promise<Settings> {
    const { userId } = speaker;
    const { set, remove } = jsonOf(body, changes);
    const hiding = OF_PRIVACY.find((key) => Object.hasOwn(set, key));
    if (hiding !== undefined)
      throw new Problem(
        400,
        'privacy_elsewhere',
        `${hiding} would hide nothing here: privacy is set by PUT /api/v1/privacy.`,
      );
    const { of, saved } = await this.look(app, scope, asked);
    if (of.scope === 'device') await this.accounts.devices.note(userId, [of.deviceId]);
    if (of.scope !== 'episode') return this.accounts.appSettings.change(userId, of, { set, remove });
    const { [FAVORITE]: given, ...others } = set;
    if (given !== undefined && typeof given !== 'boolean')
      throw new Problem(400, 'malformed', `${FAVORITE} is true or false.`);
    const isFavorite = remove.includes(FAVORITE) ? false : (given ?? saved.length > 0);
    const settings = await this.accounts.appSettings.change(userId, of, { set: others, remove });
    const { feed, item } = of;
    if (!isFavorite)
      for (const each of saved)
        await this.commands.execute(new MarkEpisode(speaker, { type: 'UnsaveEpisode', data: { feed, item: each } }));
    else if (saved.length === 0)
      await this.commands.execute(new MarkEpisode(speaker, { type: 'SaveEpisode', data: { feed, item } }));
    return { ...settings, [FAVORITE]: isFavorite };
  }

  /** What is meant, and of an episode the items under which it is saved. @throws Problem 400 where something is missing or no address */
  private async look(
    app: SpeakingApp,
    scope: z.infer<typeof path>['scope'],
    { device, podcast, episode }: z.infer<typeof query>,
  ): Promise<{ of: SettingsOf; saved: string[] }> {
    if (scope === 'account.json') return { of: { scope: 'account' }, saved: [] };
    if (scope === 'device.json') {
      if (device === undefined) throw new Problem(400, 'malformed', 'Say which device, by `device`.');
      return { of: { scope: 'device', deviceId: device }, saved: [] };
    }
    const canonical = podcast === undefined ? undefined : feedOf(podcast);
    if (canonical === undefined)
      throw new Problem(400, 'malformed', 'Say which podcast, by `podcast`, the address of its feed.');
    const feed = (await this.feeds.of(app, [canonical])).kept(canonical);
    if (scope === 'podcast.json') return { of: { scope: 'podcast', feed }, saved: [] };
    const named = episode === undefined ? undefined : itemOf('', episode);
    if (named === undefined)
      throw new Problem(400, 'malformed', 'Say which episode, by `episode`, the address of its media file.');
    const { enclosure } = splitItem(named);
    const { item, saved } = await this.queries.execute(new GetItemsOfEnclosure(app.userId, feed, enclosure));
    return { of: { scope: 'episode', feed, enclosure, item }, saved };
  }
}
