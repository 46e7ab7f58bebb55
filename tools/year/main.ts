import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import { setTimeout as delay } from 'node:timers/promises';
import { EventStore, StoreUnavailable, streamOf } from '@balados/event-sourcing';
import { config, JOBS, openStores, SILENT } from '@balados/jobs';
import { createLogger } from '@balados/platform-service';
import { drift } from '@balados/site-projections';
import { usersEvents } from '@balados/users-contracts';
import { startSystem, type System } from '@balados/e2e-support';
import { plot } from 'asciichart';
import { megabytes, milliseconds, printTable } from '../bench/report';
import { connect, disconnect, newestOfListeners } from '../bench/raw-client';
import { buildApps, startPostgres } from '../bench/systems';
import { progressOf } from '../demo/progress';
import { untilProjected } from '../seed/projected';
import { optionsOf, wholeNumber } from '../options';
import { Category, Habits, Happenings } from './habits';
import { Sample, sample } from './measure';

const USAGE = `npm run year -- [--listeners 200] [--days 365] [--first 2025-01-01]

Lives a year of listeners on a system of its own, which is thrown away: a position every 15 seconds of listening, jobs once a day, as
if it were that day. Prints how large the log and the tables are as time goes by. A year of 200 listeners takes about an hour.`;

const DAY_MS = 86_400_000;
/** In the order in which a round takes its turn with them. */
const DAILY = ['checkpoint', 'trim', 'windows', 'timeline', 'drift'];
const SAMPLE_EVERY_DAYS = 7;
/** What an absent store is asked again, and after how long. */
const ATTEMPTS_MAX = 10;
const PAUSE_MS = 5_000;
const STREAMS_AT_ONCE = 8;
const EVENTS_PER_APPEND = 250;
const COLD_LOAD_GOAL_MS = 100;
const CHART = { height: 10, offset: 2 };

interface Options {
  listeners: number;
  days: number;
  /** Epoch milliseconds. */
  first: number;
}

async function year(options: Options): Promise<void> {
  buildApps();
  const postgres = await startPostgres();
  try {
    const system = await startSystem('services', {}, ['projections']);
    const samples: Sample[] = [];
    // What was lived is told also when the year came to no end.
    await live(system, options, samples).finally(() => system.stop().finally(() => report(samples)));
  } finally {
    await postgres.stop();
  }
}

async function live(
  { eventStore, database }: System,
  { listeners, days, first }: Options,
  samples: Sample[],
): Promise<void> {
  const stores = { EVENTSTORE_URL: eventStore, USERS_DATABASE_URL: database, SITE_DATABASE_URL: database };
  const { dependencies, close } = await openStores(config.parse(stores), createLogger('year', 'warn'), undefined);
  const jobs = { ...dependencies, signal: new AbortController().signal, progress: SILENT };
  const { site, streams } = dependencies;
  const { store } = streams;
  const client = connect(eventStore);
  const town = Array.from({ length: listeners }, (_, nth) => ({ userId: randomUUID(), habits: new Habits(nth) }));
  const heaviest = town[0]!.userId;
  const progress = progressOf(days, process.stderr);
  let [appended, drifted] = [0, 0];
  try {
    let from = 0n;
    for (let day = 1; day <= days; day += 1) {
      const start = first + (day - 1) * DAY_MS;
      // Jobs see what projectors have made of the day before; they apply this day's meanwhile.
      const before = await newestOfListeners(client);
      appended += await appendDay(
        store,
        town.map(({ userId, habits }) => ({ userId, happenings: habits.day(start) })),
      );
      if (before !== undefined) await untilProjected({ users: database, site: database }, { from, to: before }, noted);
      from = before ?? from;
      const now = (): number => start + DAY_MS;
      for (const { name, run } of JOBS.filter((job) => DAILY.includes(job.name))) {
        const figures = await insist(() => run({ ...jobs, now }));
        if (name === 'checkpoint') appended += figures['checkpoints']!;
        if (name === 'drift') drifted += figures['differing']!;
      }
      progress.doing(`day ${day}: ${appended.toLocaleString('en')} events appended`);
      progress.done();
      if (day % SAMPLE_EVERY_DAYS > 0 && day < days) continue;
      const to = (await newestOfListeners(client))!;
      await untilProjected({ users: database, site: database }, { from, to }, noted);
      drifted += await drift(site, jobs);
      samples.push(await insist(() => sample(site, store, { day, appended, heaviest, drift: drifted })));
    }
  } finally {
    progress.stop();
    await disconnect(client);
    await close();
  }
}

const noted = (): void => undefined;

/** @returns how many events there were */
async function appendDay(
  store: EventStore,
  days: readonly { userId: string; happenings: Happenings }[],
): Promise<number> {
  const waiting = days
    .flatMap(({ userId, happenings }) =>
      Object.entries(happenings).map(([category, of]) => ({ stream: streamOf(category as Category, userId), of })),
    )
    .values();
  let appended = 0;
  const work = async (): Promise<void> => {
    for (const { stream, of } of waiting) {
      const events = of.map(({ at, event }) =>
        usersEvents.encode(
          event,
          {
            recordedAt: new Date(at).toISOString(),
            correlationId: randomUUID(),
            deviceId: 'phone',
            deviceName: 'the phone',
          },
          randomUUID(),
        ),
      );
      let revision = await insist(() => store.head(stream));
      for (let next = 0; next < events.length; next += EVENTS_PER_APPEND) {
        const piece = events.slice(next, next + EVENTS_PER_APPEND);
        revision = await insist(() => store.append(stream, revision, piece));
      }
      appended += events.length;
    }
  };
  await Promise.all(Array.from({ length: STREAMS_AT_ONCE }, work));
  return appended;
}

/** A store that is slow for a while, on a machine that is busy with other things, ends no year. */
async function insist<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreUnavailable) || attempt === ATTEMPTS_MAX) throw error;
      console.error(`${error.message}: tried again in ${PAUSE_MS / 1_000} s`);
      await delay(PAUSE_MS);
    }
  }
}

function report(samples: readonly Sample[]): void {
  if (samples.length === 0) return;
  const columns: Record<string, (sample: Sample) => string> = {
    day: ({ day }) => String(day),
    appended: ({ appended }) => appended.toLocaleString('en'),
    'live events': ({ live }) => live.toLocaleString('en'),
    'longest stream': ({ longest }) => longest.toLocaleString('en'),
    store: ({ storeBytes }) => megabytes(storeBytes),
    users: ({ usersBytes }) => megabytes(usersBytes),
    site: ({ siteBytes }) => megabytes(siteBytes),
    timeline: ({ timeline }) => timeline.toLocaleString('en'),
    'cold load': ({ coldLoadMs }) => milliseconds(coldLoadMs),
    drift: (each) => String(each.drift),
  };
  console.table(
    samples
      .filter((_, n) => n % 4 === 3 || n === samples.length - 1)
      .map((each) => Object.fromEntries(Object.entries(columns).map(([name, of]) => [name, of(each)]))),
  );
  chart(
    'Live events, thousands',
    samples.map(({ live }) => live / 1_000),
  );
  chart(
    'The store, MB',
    samples.map(({ storeBytes }) => storeBytes / 1_048_576),
  );
  chart(
    'Cold load of the heaviest listener, ms',
    samples.map(({ coldLoadMs }) => coldLoadMs),
  );
  const last = samples.at(-1)!;
  printTable([
    {
      what: `cold load of who heard most, after ${last.day} days`,
      measured: milliseconds(last.coldLoadMs),
      goal: `< ${COLD_LOAD_GOAL_MS} ms`,
      met: last.coldLoadMs < COLD_LOAD_GOAL_MS,
    },
    { what: 'drift of popularity', measured: String(last.drift), goal: '0', met: last.drift === 0 },
  ]);
}

function chart(what: string, values: readonly number[]): void {
  console.log(`\n${what}, week by week`);
  console.log(plot([...values], { ...CHART, min: 0, format: (value) => value.toFixed(1).padStart(9) }));
}

/** @throws Error for an option that is none, no number or no date */
function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      listeners: { type: 'string', default: '200' },
      days: { type: 'string', default: '365' },
      first: { type: 'string', default: '2025-01-01' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const number = (name: 'listeners' | 'days'): number => wholeNumber(name, values[name]);
  const first = Date.parse(values.first);
  if (Number.isNaN(first)) throw new Error(`--first is no date: ${values.first}`);
  return { listeners: number('listeners'), days: number('days'), first };
}

async function main(): Promise<void> {
  const options = optionsOf(USAGE, readOptions);
  if (!options) return;
  await year(options);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
