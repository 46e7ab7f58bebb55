import { randomUUID } from 'node:crypto';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import { countingProjector, createCountingTables, openCounting } from './counting.fixture';
import { OpenEventStore, openEventStore } from './event-store-db';
import { FAR_EVENTS } from './lane';
import { silent } from './log';
import { RunningProjector, RunOptions, runProjector } from './projector-runner';
import { segmentOf } from './segments';
import { QUEUE_EVENTS } from './segment-worker';
import { newEvent, startStandIn } from './testing';

const SEGMENTS = 4;
const AT_ONCE = 500;

let standIn: Awaited<ReturnType<typeof startStandIn>>;
let store: OpenEventStore;
let database: TestDatabase;
let dataSource: DataSource;
/** Subscriptions of projectors: one for each lane. */
let subscriptions = 0;
const running: RunningProjector[] = [];
/** One of each segment. */
let streams: string[];
/** Of the segment that is slow. */
let slow: string;
let others: string[];
/** Lets a transaction go on that waits. */
let open: () => void = () => undefined;
const appended = new Map<string, number>();

beforeAll(async () => {
  standIn = await startStandIn();
  store = openEventStore({ url: standIn.url });
});
afterAll(async () => {
  await store.close();
  await standIn.close();
});
beforeEach(async () => {
  database = await createDatabase();
  await createCountingTables(database.url);
  dataSource = await openCounting(await loginThatActs(database.url));
  streams = Array.from({ length: SEGMENTS }, (_, segment) => {
    for (;;) {
      const id = randomUUID();
      if (segmentOf(id, SEGMENTS) === segment) return `counted-${id}`;
    }
  });
  [slow, ...others] = streams as [string, ...string[]];
});
afterEach(async () => {
  open();
  await Promise.all(running.splice(0).map((projector) => projector.close()));
  await dataSource.destroy();
  await database.drop();
});

/** As services have one: a login that may do nothing by itself, and acts in a role that may. @returns the URL of the database with it */
async function loginThatActs(database: string): Promise<string> {
  const owner = await openCounting(database);
  const name = `balados_test_${randomUUID().replaceAll('-', '').slice(0, 12)}`;
  await owner.query(`CREATE ROLE ${name}_role; CREATE ROLE ${name} LOGIN NOINHERIT PASSWORD '${name}' IN ROLE ${name}_role;
    GRANT USAGE ON SCHEMA counting TO ${name}_role; GRANT ALL ON ALL TABLES IN SCHEMA counting TO ${name}_role`);
  await owner.destroy();
  const url = new URL(database);
  [url.username, url.password] = [name, name];
  url.searchParams.set('options', `-c role=${name}_role`);
  return url.href;
}

function run(options: Partial<RunOptions> = {}): RunningProjector {
  const counted: RunOptions['store'] = Object.assign(Object.create(store) as OpenEventStore, {
    async *subscribe(...parameters: Parameters<OpenEventStore['subscribe']>) {
      subscriptions += 1;
      try {
        yield* store.subscribe(...parameters);
      } finally {
        subscriptions -= 1;
      }
    },
  });
  const projector = runProjector({
    projector: countingProjector,
    store: counted,
    dataSource,
    owner: randomUUID(),
    log: silent,
    ...options,
  });
  running.push(projector);
  return projector;
}

async function append(stream: string, count: number): Promise<void> {
  for (let left = count; left > 0; left -= AT_ONCE) {
    const before = appended.get(stream) ?? 0;
    const events = Array.from({ length: Math.min(left, AT_ONCE) }, () => newEvent());
    await store.append(stream, before - 1, events);
    appended.set(stream, before + events.length);
  }
}
const appendToAll = (of: readonly string[], count: number) => Promise.all(of.map((stream) => append(stream, count)));
/** Each of these has been applied as far as it goes, once and in order: the table holds nothing else. */
const applied = (of: readonly string[]) =>
  waitFor(
    async () => {
      const rows = await dataSource.query('SELECT stream, count FROM counting.streams');
      const counts = new Map(rows.map(({ stream, count }: { stream: string; count: number }) => [stream, count]));
      return of.every((stream) => counts.get(stream) === appended.get(stream));
    },
    { what: 'all events of these streams to be applied' },
  );
const countOf = async (stream: string): Promise<number> =>
  (await dataSource.query('SELECT count FROM counting.streams WHERE stream = $1', [stream]))[0]?.count ?? 0;
const queued = (projector: RunningProjector): number => Math.max(...projector.status().map((status) => status.queued));
const oneLane = () => waitFor(() => subscriptions === 1, { what: 'all segments to go together' });

it('a segment whose rows somebody locks holds up no other, and what waits for it is bounded', async () => {
  const projector = run();
  await appendToAll(streams, 1);
  await applied(streams);
  await oneLane();
  const locking = dataSource.createQueryRunner();
  await locking.startTransaction();
  await locking.query('SELECT 1 FROM counting.streams WHERE stream = $1 FOR UPDATE', [slow]);
  // In one transaction with the others.
  await appendToAll(streams, 2);
  await applied(others);
  await append(slow, 2 * QUEUE_EVENTS);
  for (let round = 0; round < 3; round += 1) {
    await appendToAll(others, 2);
    await applied(others);
  }
  await waitFor(() => queued(projector) >= QUEUE_EVENTS, { what: 'a full queue' });
  await appendToAll(others, 2);
  await applied(others);
  expect(queued(projector)).toBeLessThanOrEqual(QUEUE_EVENTS + AT_ONCE + 1);
  expect(await countOf(slow)).toBe(1);
  expect(projector.status()).toHaveLength(SEGMENTS);
  await locking.rollbackTransaction();
  await locking.release();
  await applied(streams);
  // They go together again, and nothing is missed by it.
  await oneLane();
  await appendToAll(streams, 3);
  await applied(streams);
  expect(projector.status().every(({ failed, caughtUp }) => !failed && caughtUp)).toBe(true);
});

it('one that is far behind has the others wait for no more than a look, and comes back to them', async () => {
  const first = run();
  await appendToAll(streams, 1);
  await applied(streams);
  await first.close();
  await dataSource.query(
    `UPDATE counting.projector_segments SET owner = 'somebody', leased_until = now() + interval '1 hour' WHERE segment = 0`,
  );
  const second = run();
  await append(slow, 2 * FAR_EVENTS);
  await appendToAll(others, 1);
  await applied(others);
  await second.close();
  expect(await countOf(slow)).toBe(1);

  await dataSource.query('UPDATE counting.projector_segments SET owner = NULL');
  const gate = new Promise<void>((resolve) => (open = resolve));
  const third = run({
    projector: {
      ...countingProjector,
      async project(transaction, events) {
        if (events.some(({ stream }) => stream === slow)) await gate;
        await countingProjector.project(transaction, events);
      },
    },
  });
  await waitFor(() => third.status().length === SEGMENTS, { what: 'all segments to be taken' });
  await appendToAll(others, 1);
  await applied(others);
  expect(await countOf(slow)).toBe(1);
  open();
  await applied(streams);
  await oneLane();
  await appendToAll(streams, 1);
  await applied(streams);
});

it('one with very much to do does not keep the others from what came after it', async () => {
  const projector = run({
    projector: {
      ...countingProjector,
      // Busy with what somebody did in one go, and in time with each part of it.
      async project(transaction, events) {
        if (events.filter(({ stream }) => stream === slow).length > 1) await transaction.query('SELECT pg_sleep(0.3)');
        await countingProjector.project(transaction, events);
      },
    },
  });
  await appendToAll(streams, 1);
  await applied(streams);
  await append(slow, 3 * QUEUE_EVENTS);
  await appendToAll(others, 1);
  await applied(others);
  expect(await countOf(slow)).toBeLessThan(appended.get(slow)! - QUEUE_EVENTS);
  await applied(streams);
  await oneLane();
  expect(queued(projector)).toBe(0);
});
