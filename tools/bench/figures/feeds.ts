import { randomUUID } from 'node:crypto';
import { streamOf } from '@balados/event-sourcing';
import { encodeBase64Url } from '@balados/feeds-ids';
import { UsersEvent } from '@balados/users-contracts';
import { besideFastify } from '../beside-fastify';
import { Figure } from '../bench';
import { send } from '../http';
import { createListeners } from '../listeners';
import { MadeUp, madeUpFeed, madeUpItem, madeUpUrl } from '../origin';
import { projected } from '../progress';
import { connect, disconnect, fill } from '../raw-client';
import { megabytes, percentiles, perSecond, Row, spread } from '../report';
import { Running } from '../systems';
import { residentOf } from './memory';

const CONNECTIONS = 8;
const WARM_UP_SECONDS = 4;

/** About what the longest of real feeds has: 1.6 MB. */
const LONG: MadeUp = { n: 0, items: 640, itemBytes: 2_500, delayMs: 0 };
const HIT_GOAL_SHARE = 0.7;

const proxied = (base: string, feed: string, item?: string): string =>
  `${base}/api/v1/rss/proxy/${encodeBase64Url(feed)}${item === undefined ? '' : `/${encodeBase64Url(item)}`}`;

/** @returns milliseconds until all of the answer was there */
async function timed(url: string): Promise<{ ms: number; text: string }> {
  const startedAt = performance.now();
  const response = await fetch(url, { headers: { 'accept-encoding': 'identity' } });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${response.status} ${text.slice(0, 500)}`);
  return { ms: performance.now() - startedAt, text };
}

async function timesOf(urls: Iterable<string>): Promise<number[]> {
  const times: number[] = [];
  for (const url of urls) times.push((await timed(url)).ms);
  return times;
}

const repeated = (times: number, url: string): string[] => Array.from({ length: times }, () => url);

/** A feed that is held, sent again and again, beside Fastify alone with as many bytes. */
const hit = (port: number): Figure => ({
  name: 'feeds',
  async measure({ feeds: base, kind }) {
    const answer = { base, path: proxied('', madeUpUrl(port, LONG)), expected: madeUpFeed(LONG) };
    const how = { connections: CONNECTIONS, warmUpSeconds: WARM_UP_SECONDS, goalShare: HIT_GOAL_SHARE };
    return [await besideFastify(`a feed that is held, ${kind}`, answer, how)];
  },
});

const COLD = 20;
const WARM = 500;
const COLD_GOAL_MS = 40;
const WARM_GOAL_MS = 1;

/** One episode of such a feed: the feed fetched, read and cut the first time, and then held. */
const episode = (port: number): Figure => ({
  name: 'feeds',
  async measure({ feeds: base, kind }) {
    const of = (n: number): string => proxied(base, madeUpUrl(port, { ...LONG, n }), madeUpItem(n, LONG.items / 2));
    const cold = spread(await timesOf(Array.from({ length: COLD }, (_, n) => of(1 + n))));
    await timesOf(repeated(WARM, of(1)));
    const warm = spread(await timesOf(repeated(WARM, of(1))));
    const what = (state: string): string => `one episode of such a feed, ${state}, one after the other, ${kind}`;
    return [
      {
        what: what('not held yet'),
        measured: percentiles(cold),
        goal: `p50 < ${COLD_GOAL_MS} ms`,
        met: cold.p50 < COLD_GOAL_MS,
      },
      {
        what: what('held'),
        measured: percentiles(warm),
        goal: `p50 < ${WARM_GOAL_MS} ms`,
        met: warm.p50 < WARM_GOAL_MS,
      },
    ];
  },
});

const SUBSCRIPTIONS = 100;
const SUBSCRIBED: Omit<MadeUp, 'n'> = { items: 50, itemBytes: 1_500, delayMs: 0 };
const SLOW_MS = 200;
const MERGES = 30;
const MERGED_WARM_GOAL_MS = 50;
const MERGED_COLD_GOAL_MS = 3_000;

/** Somebody's subscriptions as one feed. */
const merged = (port: number): Figure => ({
  name: 'merged',
  async measure(system) {
    const { feeds: base, kind } = system;
    const first = 1_000;
    const slow = await personalFeedOf(system, (n) =>
      madeUpUrl(port, { ...SUBSCRIBED, n: first + n, delayMs: SLOW_MS }),
    );
    const cold = await timed(`${base}${slow}`);
    expectWhole(cold.text);
    const quick = await personalFeedOf(system, (n) => madeUpUrl(port, { ...SUBSCRIBED, n: 2 * first + n }));
    expectWhole((await timed(`${base}${quick}`)).text);
    await timesOf(repeated(MERGES, `${base}${quick}`));
    const warm = spread(await timesOf(repeated(MERGES, `${base}${quick}`)));
    const what = (state: string): string => `${SUBSCRIPTIONS} subscriptions as one feed, ${state}, ${kind}`;
    return [
      {
        what: what('all held'),
        measured: percentiles(warm),
        goal: `p50 < ${MERGED_WARM_GOAL_MS} ms`,
        met: warm.p50 < MERGED_WARM_GOAL_MS,
      },
      {
        what: what(`none held, each ${SLOW_MS} ms away`),
        measured: `${(cold.ms / 1_000).toFixed(2)} s`,
        goal: `< ${MERGED_COLD_GOAL_MS / 1_000} s`,
        met: cold.ms < MERGED_COLD_GOAL_MS,
      },
    ];
  },
});

function expectWhole(feed: string): void {
  const items = feed.split('<item').length - 1;
  if (items !== SUBSCRIPTIONS)
    throw new Error(`${items} items are in the personal feed, not ${SUBSCRIPTIONS}: ${feed.slice(0, 500)}`);
}

/** Path of the personal feed of a new listener with so many subscriptions. */
async function personalFeedOf(
  { database, listeners: base, eventStore }: Running,
  urlOf: (n: number) => string,
): Promise<string> {
  const [listener] = (await createListeners(database, base, 1)) as [Awaited<ReturnType<typeof createListeners>>[0]];
  const store = connect(eventStore);
  const events = Array.from({ length: SUBSCRIPTIONS }, (_, n): UsersEvent => ({
    type: 'PodcastSubscribed',
    data: { feed: urlOf(n), sourceId: null, subscribedAt: new Date().toISOString(), unsubscribedAt: null },
  }));
  await fill(store, [{ stream: streamOf('subscriptions', listener.userId), events }]);
  await disconnect(store);
  await projected(database, 'users', [
    { userId: listener.userId, category: 'subscriptions', revision: SUBSCRIPTIONS - 1 },
  ]);
  const made = await send(base, listener, 'POST', '/tokens', JSON.stringify({ name: randomUUID() }));
  return `/api/v1/rss/user/${(JSON.parse(made.toString()) as { token: string }).token}/subscriptions`;
}

const DISTINCT = 10_000;
const DISTINCT_AT_A_TIME = 16;
const SMALL: Omit<MadeUp, 'n'> = { items: 20, itemBytes: 1_500, delayMs: 0 };
/** What a service may take empty, and what feeds it may keep (`FEEDS_CACHE_MB`). */
const MEMORY_GOAL_BYTES = (200 + 128) * 1_048_576;

/** What is left of so many feeds, each asked for once. */
const manyFeeds = (port: number): Figure => ({
  name: 'many-feeds',
  async measure({ feeds: base, processes }): Promise<Row[]> {
    const { pid } = processes['rss-proxy']!;
    const before = residentOf(pid);
    let highest = before;
    let next = 100_000;
    const last = next + DISTINCT;
    const startedAt = performance.now();
    await Promise.all(
      Array.from({ length: DISTINCT_AT_A_TIME }, async () => {
        while (next < last) {
          await timed(proxied(base, madeUpUrl(port, { ...SMALL, n: next++ })));
          if (next % 500 === 0) highest = Math.max(highest, residentOf(pid));
        }
      }),
    );
    const seconds = (performance.now() - startedAt) / 1_000;
    return [
      {
        what: `memory of rss-proxy after ${DISTINCT.toLocaleString('en')} feeds of ${SMALL.items * SMALL.itemBytes} bytes, ${perSecond(DISTINCT / seconds)}`,
        measured: `${megabytes(residentOf(pid))}, at most ${megabytes(highest)} (${megabytes(before)} before)`,
        goal: `< ${megabytes(MEMORY_GOAL_BYTES)}`,
        met: highest < MEMORY_GOAL_BYTES,
      },
    ];
  },
});

/** On a system that may fetch from the origin at this port. */
export const feedFigures = (port: number): readonly Figure[] => [
  hit(port),
  episode(port),
  merged(port),
  manyFeeds(port),
];
