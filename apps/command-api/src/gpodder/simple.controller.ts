import { Body, Controller, Get, Inject, Param, Put, Res, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { ApiExcludeController } from '@nestjs/swagger';
import { LIST_FORMATS, NotOpml, readOpml, writeOpml } from '@balados/feeds-content';
import { Problem, TakesAnyBody } from '@balados/platform-service';
import type { AccountsParts } from '@balados/users-accounts';
import { SYNC_LIST_MAX } from '@balados/users-contracts';
import { GetSubscriptionChanges } from '@balados/users-read';
import { ChangeSubscriptions } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { CurrentSpeaker } from '../speaker';
import { ACCOUNTS } from '../tokens';
import { AppGuard } from './app.guard';
import { FeedsOfApps } from './feeds-of-app';
import { CurrentApp } from './speaking-app';
import type { SpeakingApp } from './speaking-app';
import { jsonOf, named, readFeeds, textOf, Written } from './wire';

const userPath = z.object({ file: named(...LIST_FORMATS) });
const devicePath = z.object({ user: z.string(), file: named(...LIST_FORMATS) });
const list = z.array(z.string()).max(SYNC_LIST_MAX);

/** Lists of subscriptions as a whole, in three formats. They are the same on all devices. */
@Controller('subscriptions')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderSimpleController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
    @Inject(ACCOUNTS) private readonly accounts: AccountsParts,
    private readonly feeds: FeedsOfApps,
  ) {}

  @Get(':file')
  async ofUser(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: userPath }) { file }: z.infer<typeof userPath>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const feeds = await this.feedsOf(app);
    if (file.format !== 'json') return send(reply, file.format, feeds);
    reply.send(feeds.map((url) => ({ url, title: url, description: '', website: '', logo_url: null, subscribers: 0 })));
  }

  @Get(':user/:file')
  async ofDevice(
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: devicePath }) { file }: z.infer<typeof devicePath>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    send(reply, file.format, await this.feedsOf(app));
  }

  @Put(':user/:file')
  @TakesAnyBody()
  async replace(
    @CurrentSpeaker() speaker: Speaker,
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: devicePath }) { file }: z.infer<typeof devicePath>,
    @Body() body: unknown,
  ): Promise<void> {
    const list = feedsIn(file.format, body);
    await this.accounts.devices.tell(speaker.userId, { deviceId: file.name });
    await this.replaceBy(speaker, app, list);
  }

  @Put(':file')
  @TakesAnyBody()
  replaceOfUser(
    @CurrentSpeaker() speaker: Speaker,
    @CurrentApp() app: SpeakingApp,
    @Param({ schema: userPath }) { file }: z.infer<typeof userPath>,
    @Body() body: unknown,
  ): Promise<void> {
    return this.replaceBy(speaker, app, feedsIn(file.format, body));
  }

  private async replaceBy(speaker: Speaker, app: SpeakingApp, list: readonly Written[]): Promise<void> {
    await this.commands.execute(new ChangeSubscriptions(speaker, { exactly: await this.feeds.wanted(app, list) }));
  }

  private async feedsOf(app: SpeakingApp): Promise<string[]> {
    const feeds = await this.feeds.of(app);
    return feeds.told(await this.queries.execute(new GetSubscriptionChanges(app.userId, 0))).add;
  }
}

function send(reply: FastifyReply, format: string, feeds: readonly string[]): void {
  if (format === 'json') reply.send(feeds);
  else if (format === 'txt') reply.type('text/plain; charset=utf-8').send(feeds.map((feed) => `${feed}\n`).join(''));
  else reply.type('text/x-opml; charset=utf-8').send([...writeOpml('Subscriptions', feeds)].join(''));
}

/** The feeds of a list. @throws Problem 400 for what is not of its format */
function feedsIn(format: string, body: unknown): Written[] {
  const urls = written(format, body);
  const { feeds } = readFeeds(urls);
  // A page that tells of an error, or whatever it is, must not end all subscriptions.
  if (feeds.length === 0 && urls.length > 0)
    throw new Problem(400, 'malformed', 'None of these is the address of a feed.');
  return feeds;
}

/** @throws Problem 400 for what is not of its format */
function written(format: string, body: unknown): string[] {
  if (!Buffer.isBuffer(body) || body.length === 0) throw new Problem(400, 'malformed', 'The list is missing.');
  if (format === 'json') return jsonOf(body, list);
  if (format === 'txt')
    return textOf(body)
      .split(/\r?\n/)
      .filter((line) => line.trim() !== '');
  try {
    return readOpml(body).map(({ url }) => url);
  } catch (error) {
    if (error instanceof NotOpml) throw new Problem(400, error.code, error.message);
    throw error;
  }
}
