import { parseStream, StoredEvent } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { rebuild, Sql } from '@balados/platform-stores';
import fc from 'fast-check';
import { DataSource } from 'typeorm';
import { partOf, PRIVACIES, WHOLE_ACCOUNT, WHOLE_HISTORY } from '@balados/users-contracts';
import {
  applyDefaultPrivacy,
  createSiteProjector,
  createSiteRebuildable,
  drift,
  movePopularityWindows,
  storeDefaultPrivacy,
} from './index';
import { Act, naive, sorted } from './naive-model';
import { cut, emptySite, History, openSite, uuidOf } from './testing';

const LONG = process.env.LONG_TESTS === '1';
const HISTORIES = LONG ? 10_000 : 500;
/** Histories that share one log, and with it its batches: a statement takes about as long for all of them as for one. */
const IN_ONE_LOG = 4;
const TIME_LIMIT_MS = LONG ? 3_600_000 : 400_000;
/** A failure is reported with its seed before Jest gives up, and a machine that is too slow for all runs is one. */
const inTime = { interruptAfterTimeLimit: 0.75 * TIME_LIMIT_MS, markInterruptAsFailure: true };

/** Each history has its own of these. */
const listenersOf = (nth: number) => ['ada', 'ben', 'cleo', 'dan', 'eve'].map((name) => uuidOf(`${name} ${nth}`));
const feedsOf = (nth: number) => [
  `https://example.org/${nth}/a.xml`,
  `http://example.org/${nth}/b.xml`,
  `https://example.org/${nth}/c.xml?auth=s3cret`,
];
const LISTENERS = listenersOf(0);
/** Two enclosures of one episode, an episode without a guid, and one that is sent with a credential and without. */
const ITEMS = [
  'guid-1,https://cdn.example.org/1.mp3',
  'guid-1,https://other.example.org/1.mp3',
  ',https://cdn.example.org/2.mp3',
  'guid-3,https://cdn.example.org/3.mp3?token=s3cret',
  'guid-3,https://cdn.example.org/3.mp3',
];
const START = Date.parse('2026-03-01T00:17:23.456Z');
const HOUR_MS = 3_600_000;

const anAct = (nth: number) =>
  fc.record({
    type: fc.constantFrom<Act['type'][]>(
      'subscribe',
      'subscribe',
      'unsubscribe',
      'play',
      'play',
      'move',
      'save',
      'save',
      'unsave',
      'share',
      'set',
      'set',
      'reset',
      'erase',
      'forget',
      'checkpoint',
    ),
    listener: fc.constantFrom(...listenersOf(nth)),
    feed: fc.constantFrom(...feedsOf(nth), feedsOf(nth)[0]!),
    item: fc.constantFrom(...ITEMS),
    scope: fc.constantFrom<Act['scope'][]>('account', 'podcast', 'episode'),
    privacy: fc.constantFrom(...PRIVACIES),
    hoursLater: fc.constantFrom(0, 0.2, 1, 5, 20),
    claimedHoursBefore: fc.constantFrom(0, 3),
  });
type Drawn = ReturnType<typeof anAct> extends fc.Arbitrary<infer Value> ? Value : never;
const aHistory = (nth: number) => fc.array(anAct(nth), { maxLength: 50, size: 'max' }).map(dated);

/** Mostly nothing. */
const now = <Value>(value: fc.Arbitrary<Value>) =>
  fc.oneof({ weight: 9, arbitrary: fc.constant(null) }, { weight: 1, arbitrary: value });

/** A batch of one of the two segments, whether all before it of the segment comes a second time, and what the jobs do then. */
const aBatch = fc.record({
  segment: fc.constantFrom(0, 1),
  size: fc.integer({ min: 1, max: 12 }),
  again: fc.boolean(),
  windowAt: now(fc.integer({ min: -5, max: 200 })),
  anotherDefault: now(fc.constantFrom(...PRIVACIES)),
});
const aRun = (histories: number) =>
  fc.record({
    acts: fc.tuple(...Array.from({ length: histories }, (_, nth) => aHistory(nth))).map(inTurn),
    batches: fc.array(aBatch, { minLength: 1, maxLength: 7, size: 'max' }),
    defaultPrivacy: fc.constantFrom(...PRIVACIES),
    publicMinListeners: fc.integer({ min: 1, max: 3 }),
  });

/** What was taken back: a save or a subscription that the listener does not make otherwise, somewhere in the history. */
const aWhim = fc.record({
  done: fc.constantFrom('save' as const, 'subscribe' as const),
  at: fc.nat(60),
  undoneAfter: fc.nat(20),
  feed: fc.constantFrom(...feedsOf(0)),
  item: fc.constantFrom(...ITEMS),
});

/** The same done by one of two listeners, to one of three items of one podcast, within a day or two: so that it is done again and again. */
const often = (act: Act): Act => {
  const recordedAt = START + Math.floor((act.recordedAt - START) / 4);
  return {
    ...act,
    listener: LISTENERS[LISTENERS.indexOf(act.listener) % 2]!,
    feed: feedsOf(0)[0]!,
    item: ITEMS[ITEMS.indexOf(act.item) % 3]!,
    recordedAt,
    claimedAt: recordedAt,
  };
};

const SEGMENTS = new Map(
  Array.from({ length: IN_ONE_LOG }, (_, nth) =>
    listenersOf(nth).map((listener, index) => [listener, index % 2]),
  ).flat() as [string, 0 | 1][],
);

const scopeOf = ({ scope, feed, item }: Act): string[] =>
  ({ account: [], podcast: [feed], episode: [feed, item] })[scope];

/** The first act of each history, then the second of each, and so on. */
const inTurn = (histories: readonly Act[][]): Act[] =>
  Array.from({ length: Math.max(...histories.map(({ length }) => length)) }, (_, turn) =>
    histories.flatMap((acts) => acts[turn] ?? []),
  ).flat();

/** The acts as drawn, one after the other in time. */
function dated(drawn: readonly Drawn[]): Act[] {
  let recordedAt = START;
  return drawn.map(({ hoursLater, claimedHoursBefore, ...act }) => {
    recordedAt += hoursLater * HOUR_MS;
    return { ...act, recordedAt, claimedAt: recordedAt - claimedHoursBefore * HOUR_MS };
  });
}

function stored(history: History, act: Act): StoredEvent | StoredEvent[] {
  const [recordedAt, claimed] = [new Date(act.recordedAt).toISOString(), new Date(act.claimedAt).toISOString()];
  switch (act.type) {
    case 'subscribe':
      return history.subscribed(act.listener, act.feed, recordedAt, claimed);
    case 'unsubscribe':
      return history.unsubscribed(act.listener, act.feed, recordedAt);
    case 'play':
      return history.played(act.listener, act.feed, act.item, recordedAt, claimed);
    case 'move':
      return history.moved(act.listener, act.feed, act.item, recordedAt);
    case 'save':
      return history.saved(act.listener, act.feed, act.item, recordedAt, claimed);
    case 'unsave':
      return history.unsaved(act.listener, act.feed, act.item, recordedAt);
    case 'share':
      return history.shared(act.listener, act.feed, act.item, recordedAt, claimed);
    case 'set':
      return history.madePrivacy(act.listener, act.privacy, recordedAt, ...scopeOf(act));
    case 'reset':
      return history.resetPrivacy(act.listener, recordedAt, ...scopeOf(act));
    case 'erase':
      if (act.scope === 'account') return history.erased(act.listener, WHOLE_ACCOUNT, recordedAt);
      return history.erased(act.listener, partOf(act.feed, act.scope === 'podcast' ? null : act.item), recordedAt);
    case 'forget':
      return history.erased(act.listener, WHOLE_HISTORY, recordedAt);
    case 'checkpoint':
      return history.checkpoint(act.listener, recordedAt);
  }
}

/** Of acts of one listener at one moment each stream holds what was decided at once. */
function logOf(acts: readonly Act[]): StoredEvent[] {
  const history = new History(true);
  return [...new Set(acts.flatMap((act) => stored(history, act)))];
}

const listenerOf = ({ stream }: StoredEvent): string => parseStream(stream)!.userId;

async function held(sql: Sql) {
  const rows = async (statement: string) => sorted(await sql.query<object[]>(statement));
  const [{ contributions }] = await sql.query('SELECT count(*)::int AS contributions FROM site_private.contributions');
  return {
    contributions,
    listeners: await rows('SELECT feed_id, listeners FROM site_private.feeds WHERE listeners > 0'),
    // What is left of a podcast is what somebody did.
    forgotten: await rows(
      'SELECT feed FROM site_private.feeds WHERE feed_id NOT IN (SELECT feed_id FROM site_private.contributions)',
    ),
    podcasts: await rows('SELECT * FROM site.podcast_popularity'),
    episodes: await rows('SELECT * FROM site.episode_popularity'),
    events: await rows(
      'SELECT event_type, user_id, feed_id, episode_id, occurred_at, recorded_at FROM site.public_events',
    ),
  };
}

/** Rows have no order of columns that means anything. */
const keysSorted = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value), (_, part) =>
    part && typeof part === 'object' && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
const comparable = (state: Record<string, unknown>): unknown =>
  Object.fromEntries(
    Object.entries(state).map(([name, rows]) => [
      name,
      Array.isArray(rows) ? sorted(keysSorted(rows) as object[]) : rows,
    ]),
  );

let site: DataSource;
let url: string;
let close: () => Promise<void>;

beforeAll(async () => ({ site, url, close } = await openSite()));
afterAll(() => close());

it(
  'holds what a naive model computes from the whole history, however it is cut into batches',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        aRun(IN_ONE_LOG),
        async ({ acts, batches, defaultPrivacy: firstDefault, publicMinListeners }) => {
          const log = logOf(acts);
          const queues = [0, 1].map((segment) => log.filter((event) => SEGMENTS.get(listenerOf(event)) === segment));
          const applied: [StoredEvent[], StoredEvent[]] = [[], []];
          const projector = createSiteProjector({ publicMinListeners });

          const runner = site.createQueryRunner();
          await runner.startTransaction();
          try {
            const sql = runner.manager;
            let windowStart = -Infinity;
            let defaultPrivacy = await storeDefaultPrivacy(sql, firstDefault);
            const rest = ([0, 1] as const).map((segment) => ({
              ...{ segment, size: Infinity, again: false, windowAt: null, anotherDefault: null },
            }));
            for (const { segment, size, again, windowAt, anotherDefault } of [...batches, ...rest]) {
              const batch = queues[segment]!.splice(0, size * IN_ONE_LOG);
              await projector.project(sql, batch);
              if (again) await projector.project(sql, applied[segment]);
              applied[segment].push(...batch);
              if (anotherDefault !== null) {
                defaultPrivacy = anotherDefault;
                await applyDefaultPrivacy(sql, { defaultPrivacy, publicMinListeners });
              }
              if (windowAt === null) continue;
              windowStart = START + windowAt * HOUR_MS;
              await movePopularityWindows(sql, { now: windowStart + HOUR_MS, windowMs: HOUR_MS });
            }
            expect(comparable(await held(sql))).toEqual(
              comparable(naive(acts, { defaultPrivacy, publicMinListeners, windowStart })),
            );
            // the whole of what jobs compare, now and then: it reads every table several times
            if (acts.length % 4 === 0) expect(await drift(sql, { publicMinListeners })).toBe(0);
          } finally {
            await runner.rollbackTransaction();
            await runner.release();
          }
        },
      ),
      { numRuns: HISTORIES / IN_ONE_LOG, ...inTime },
    );
  },
  TIME_LIMIT_MS,
);

it(
  'holds it as well when it is made anew from a log that was cut before its checkpoints',
  async () => {
    await fc.assert(
      fc.asyncProperty(aRun(1), async ({ acts: drawn, batches, defaultPrivacy, publicMinListeners }) => {
        const acts = drawn.map(often);
        const events = cut(logOf(acts));
        const projector = createSiteProjector({ publicMinListeners });
        const runner = site.createQueryRunner();
        await runner.startTransaction();
        try {
          await storeDefaultPrivacy(runner.manager, defaultPrivacy);
          for (const { size } of [...batches, { size: Infinity }])
            await projector.project(runner.manager, events.splice(0, size));
          const policy = { defaultPrivacy, publicMinListeners, windowStart: -Infinity };
          expect(comparable(await held(runner.manager))).toEqual(comparable(naive(acts, policy)));
        } finally {
          await runner.rollbackTransaction();
          await runner.release();
        }
      }),
      { numRuns: HISTORIES / 5, ...inTime },
    );
  },
  TIME_LIMIT_MS,
);

it(
  'holds it as well when it is rebuilt from a log that was cut, though others were at the tables meanwhile',
  async () => {
    const rows = async (tables: readonly string[]): Promise<unknown> =>
      Promise.all(
        tables.map(async (table) =>
          // Ids are random.
          site.query(`SELECT (to_jsonb(t) - '{id,public_id}'::text[])::text AS row FROM ${table} t ORDER BY 1`),
        ),
      );
    await fc.assert(
      fc.asyncProperty(aRun(1), async ({ acts, batches, defaultPrivacy, publicMinListeners }) => {
        await emptySite(site);
        let policy = { defaultPrivacy: await storeDefaultPrivacy(site, defaultPrivacy), publicMinListeners };
        const log = logOf(acts);
        await site.transaction((sql) => createSiteProjector(policy).project(sql, log));
        const store = new InMemoryEventStore();
        store.log.push(...cut(log));
        let windowStart = -Infinity;
        const meanwhile = async (): Promise<void> => {
          for (const { windowAt, anotherDefault } of batches) {
            if (windowAt !== null) windowStart = START + windowAt * HOUR_MS;
            if (windowAt !== null) await movePopularityWindows(site, { now: windowStart, windowMs: 0 });
            if (anotherDefault !== null) policy = { ...policy, defaultPrivacy: anotherDefault };
            if (anotherDefault !== null) await applyDefaultPrivacy(site, policy);
          }
        };
        const rebuildable = createSiteRebuildable(policy);
        let [isMeanwhile, lived] = [true, undefined as unknown];
        await rebuild({
          ...{ rebuildable, store, live: site, url, owner: 'rebuild', lookMs: 20 },
          signal: AbortSignal.timeout(TIME_LIMIT_MS),
          async makeGood() {
            if (isMeanwhile) await meanwhile();
            isMeanwhile = false;
            lived = await rows(rebuildable.tables);
          },
        });
        expect(await rows(rebuildable.tables)).toEqual(lived);
        expect(comparable(await held(site))).toEqual(comparable(naive(acts, { ...policy, windowStart })));
        expect(await drift(site, { publicMinListeners })).toBe(0);
      }),
      { numRuns: LONG ? 200 : 10, endOnFailure: true, ...inTime },
    );
    await emptySite(site);
  },
  TIME_LIMIT_MS,
);

it(
  'holds it as well when the segments apply their batches at the same time',
  async () => {
    await fc.assert(
      fc.asyncProperty(aRun(1), async ({ acts, batches, defaultPrivacy, publicMinListeners }) => {
        await emptySite(site);
        await storeDefaultPrivacy(site, defaultPrivacy);
        const log = logOf(acts);
        const queues = LISTENERS.map((listener) => log.filter((event) => listenerOf(event) === listener));
        const projector = createSiteProjector({ publicMinListeners });
        const inTurn = queues.map(async (queue) => {
          for (const { size } of [...batches, { size: Infinity }]) {
            const batch = queue.splice(0, size);
            await site.transaction((transaction) => projector.project(transaction, batch));
          }
        });
        await Promise.all(inTurn);
        const policy = { defaultPrivacy, publicMinListeners, windowStart: -Infinity };
        expect(comparable(await held(site))).toEqual(comparable(naive(acts, policy)));
        expect(await drift(site, { publicMinListeners })).toBe(0);
      }),
      { numRuns: HISTORIES / 20, endOnFailure: true, ...inTime },
    );
    await emptySite(site);
  },
  TIME_LIMIT_MS,
);

it(
  'holds after a save or a subscription that was taken back what it holds without',
  async () => {
    await fc.assert(
      fc.asyncProperty(aRun(1), fc.array(aWhim, { minLength: 1, maxLength: 4 }), async (run, whims) => {
        const [fickle] = LISTENERS as [string];
        const { acts, batches, defaultPrivacy, publicMinListeners } = run;
        const undoable = (act: { type: Act['type']; listener: string }) =>
          act.listener === fickle && ['save', 'unsave', 'subscribe', 'unsubscribe'].includes(act.type);
        const without = acts
          .filter((act) => !undoable(act))
          .map((act, index): Act => ({ ...act, recordedAt: START + index * HOUR_MS, claimedAt: START }));
        const withWhims = [...without];
        for (const { done, at, undoneAfter, feed, item } of whims) {
          const of = { listener: fickle, feed, item, scope: 'account', privacy: 'private' } as const;
          const whim = { ...of, recordedAt: START + at * HOUR_MS, claimedAt: START };
          const doneAt = Math.min(at, withWhims.length);
          withWhims.splice(doneAt, 0, { ...whim, type: done });
          const undoneAt = Math.min(doneAt + 1 + undoneAfter, withWhims.length);
          withWhims.splice(undoneAt, 0, { ...whim, type: done === 'save' ? 'unsave' : 'unsubscribe' });
        }
        const projector = createSiteProjector({ publicMinListeners });
        const after = async (history: readonly Act[]) => {
          const runner = site.createQueryRunner();
          await runner.startTransaction();
          try {
            await storeDefaultPrivacy(runner.manager, defaultPrivacy);
            const events = logOf(history);
            for (const { size } of [...batches, { size: Infinity }])
              await projector.project(runner.manager, events.splice(0, size));
            return comparable(await held(runner.manager));
          } finally {
            await runner.rollbackTransaction();
            await runner.release();
          }
        };
        expect(await after(withWhims)).toEqual(await after(without));
      }),
      { numRuns: HISTORIES / 10, ...inTime },
    );
  },
  TIME_LIMIT_MS,
);
