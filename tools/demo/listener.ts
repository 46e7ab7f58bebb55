import { encodeBase64 } from '@balados/feeds-ids';
import { Api, DemoFailed } from './api';
import { Device, register } from './device';
import { differences, Holdings } from './holdings';
import { Podcast } from './library';
import { Progress } from './progress';

/** Differences that are shown; the rest is counted. */
const SHOWN = 5;

/** What a listener did and saw; times in milliseconds. */
export interface Visit {
  name: string;
  played: number;
  moved: number;
  devices: { name: string; subscriptions: number; episodes: number }[];
  took: Record<string, number>;
}

/** Steps of one visit on the progress bar. */
export const stepsOf = (library: readonly Podcast[]): number => 2 * library.length + episodesOf(library);

export const episodesOf = (library: readonly Podcast[]): number =>
  library.reduce((sum, { episodes }) => sum + episodes.length, 0);

/**
 * One listener with a phone and a laptop: subscribes, listens and syncs on the phone, then syncs the laptop.
 * `nth` is which listener it is, from 0, so that each listens to other episodes.
 * @throws DemoFailed when the devices do not hold the same, or not all that they should
 */
export async function visit(api: Api, library: readonly Podcast[], nth: number, progress: Progress): Promise<Visit> {
  const name = `Listener ${nth + 1}`;
  const took: Record<string, number> = {};
  const timed = async (what: string, work: () => Promise<void>) => {
    progress.doing(`${name} ${what}`);
    const begun = performance.now();
    await work();
    took[what] = performance.now() - begun;
  };

  const credentials = await register(api);
  const phone = await Device.login(api, credentials, 'phone');
  const laptop = await Device.login(api, credentials, 'laptop');

  await timed('subscribes on the phone', async () => {
    for (const { feed } of library) {
      await phone.subscribe(feed);
      progress.done();
    }
  });

  let [played, moved] = [0, 0];
  await timed('listens on the phone', async () => {
    for (const [index, { feed, episodes }] of library.entries()) {
      const item = episodes[nth % episodes.length];
      if (item !== undefined) {
        await phone.play(feed, item, 0);
        played += 1;
        // every other one is listened to for a while
        if (index % 2 === 0) {
          await phone.move(feed, item, 90.5 + index);
          moved += 1;
        }
      }
      progress.done();
    }
  });

  phone.held.take({ play_statuses: heardBefore(library, phone.held) });
  await timed('syncs the phone', () => phone.sync((episodes) => progress.done(episodes)));
  await timed('syncs the laptop', () => laptop.sync());
  mustBeTheSame(`${name}: phone and laptop`, phone.held, laptop.held);
  mustHold(`${name}: the laptop`, laptop.held, library);

  await timed('reads on both', async () => {
    for (const device of [phone, laptop]) {
      const { seen, total } = await device.read();
      if (total !== device.held.plays.size)
        throw new DemoFailed(
          `${name}: the ${device.name} reads of ${total} episodes, and holds ${device.held.plays.size}`,
        );
      // Very large libraries are not paged through to the end.
      if (seen.plays.size === total)
        mustBeTheSame(`${name}: what the ${device.name} reads and holds`, seen, device.held);
    }
  });

  const devices = [phone, laptop].map(({ name, held }) => ({
    name,
    subscriptions: held.subscriptions.size,
    episodes: held.plays.size,
  }));
  return { name, played, moved, devices, took };
}

/** The episodes that the phone knew before it met the system: a minute apart, some played, some left in the middle. */
function heardBefore(library: readonly Podcast[], held: Holdings) {
  const known = new Set([...held.plays.values()].map((play) => `${play.rss_source_feed} ${play.rss_source_item}`));
  const now = Date.now();
  return library
    .flatMap(({ feed, episodes }) => episodes.map((item) => ({ feed: encodeBase64(feed), item: encodeBase64(item) })))
    .filter(({ feed, item }) => !known.has(`${feed} ${item}`))
    .map(({ feed, item }, index) => ({
      rss_source_feed: feed,
      rss_source_item: item,
      position: ((index * 37) % 3_600) + 0.25,
      played: index % 3 === 0,
      updated_at: new Date(now - (index + 1) * 60_000).toISOString(),
    }));
}

function mustBeTheSame(what: string, left: Holdings, right: Holdings): void {
  const found = differences(left, right);
  if (found.length === 0) return;
  throw new DemoFailed(`${what} differ in ${found.length} entries:\n  ${found.slice(0, SHOWN).join('\n  ')}`);
}

function mustHold(what: string, { subscriptions, plays }: Holdings, library: readonly Podcast[]): void {
  const [podcasts, episodes] = [library.length, episodesOf(library)];
  if (subscriptions.size !== podcasts || plays.size !== episodes)
    throw new DemoFailed(
      `${what} holds ${subscriptions.size} podcasts and ${plays.size} episodes, not ${podcasts} and ${episodes}`,
    );
}
