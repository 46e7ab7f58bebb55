import { randomUUID } from 'node:crypto';
import { bundled, NewEvent, NO_EVENTS, typesOf } from '@balados/event-sourcing';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import { countingProjector, createCountingTables, openCounting } from './counting.fixture';
import { OpenEventStore, openEventStore } from './event-store-db';
import { silent } from './log';
import { Sql } from './postgres';
import { Projector } from './projector';
import { RunningProjector, RunOptions, runProjector } from './projector-runner';
import { segmentOf } from './segments';
import { BATCH_EVENTS, QUEUE_EVENTS } from './segment-worker';
import { newEvent, startStandIn } from './testing';

let standIn: Awaited<ReturnType<typeof startStandIn>>;
let store: OpenEventStore;
let database: TestDatabase;
let dataSource: DataSource;
const running: RunningProjector[] = [];

beforeEach(async () => {
  standIn = await startStandIn();
  store = openEventStore({ url: standIn.url });
  database = await createDatabase();
  await createCountingTables(database.url);
  dataSource = await openCounting(database.url);
});

afterEach(async () => {
  await Promise.all(running.splice(0).map((projector) => projector.close()));
  await dataSource.destroy();
  await store.close();
  await database.drop();
  await standIn.close();
});

function run(options: Partial<RunOptions> = {}): RunningProjector {
  const projector = runProjector({
    projector: countingProjector,
    store,
    dataSource,
    owner: randomUUID(),
    log: silent,
    ...options,
  });
  running.push(projector);
  return projector;
}

const streams = (count: number) => Array.from({ length: count }, () => `counted-${randomUUID()}`);

const counts = async (of: readonly string[]): Promise<Map<string, number>> => {
  const rows = await dataSource.query('SELECT stream, count FROM counting.streams WHERE stream = ANY ($1)', [of]);
  return new Map(rows.map(({ stream, count }: { stream: string; count: number }) => [stream, count]));
};

const counted = (of: readonly string[], each: number) =>
  waitFor(async () => of.length === [...(await counts(of)).values()].filter((count) => count === each).length, {
    what: `${each} events of each of ${of.length} streams`,
  });

const append = async (of: readonly string[], count: number, from = 0) => {
  for (let n = from; n < from + count; n += 1)
    await Promise.all(of.map((stream) => store.append(stream, n - 1, [newEvent({ n })])));
};

const rowsOfSegments = (): Promise<
  {
    segment: number;
    owner: string | null;
    position: string | null;
    failed_event: string | null;
    failed_reason: string;
  }[]
> => dataSource.query('SELECT * FROM counting.projector_segments ORDER BY segment');

it('applies what was there and what comes, once and in order, and says when it caught up', async () => {
  const mine = streams(20);
  await append(mine, 5);
  const projector = run();
  await waitFor(() => projector.caughtUp, { what: 'the projector to catch up' });
  await counted(mine, 5);
  await append(mine, 5, 5);
  await counted(mine, 10);
  const head = await store.headPosition();
  await waitFor(() => projector.status().every(({ seen }) => seen === head), { what: 'all segments at the head' });
  await waitFor(() => projector.lateness?.head === head, { what: 'a look at how late it is' });
  // Recorded long ago, and applied.
  expect(projector.lateness!.appliedUntil).toBeGreaterThan(Date.parse('2026-06-01T00:00:00.000Z'));
  expect(projector.status().map(({ segment }) => segment)).toEqual([0, 1, 2, 3]);
  expect(projector.status().reduce((sum, { events }) => sum + events, 0)).toBeGreaterThanOrEqual(200);
});

it('goes on from where it was', async () => {
  const mine = streams(8);
  await append(mine, 3);
  const first = run();
  await counted(mine, 3);
  await first.close();
  expect((await rowsOfSegments()).every(({ owner }) => owner === null)).toBe(true);
  await append(mine, 3, 3);
  run();
  await counted(mine, 6);
});

it('applies anew what a crash of Postgres lost of its newest commits, also when nothing follows', async () => {
  const mine = streams(8);
  await append(mine, 2);
  const projector = run({ leaseMs: 400 });
  await counted(mine, 2);
  const head = await store.headPosition();
  await waitFor(() => projector.status().every(({ position }) => position === head), { what: 'all positions stored' });
  await dataSource.transaction(async (transaction) => {
    await transaction.query('DELETE FROM counting.streams');
    await transaction.query('UPDATE counting.projector_segments SET position = NULL, store_id = NULL');
  });
  await counted(mine, 2);
});

it('holds no more than its queue while a transaction lasts, and loses nothing of the rest', async () => {
  const [stream] = streams(1);
  const total = 3 * QUEUE_EVENTS;
  for (let n = 0; n < total; n += 500)
    await store.append(
      stream!,
      n - 1,
      Array.from({ length: 500 }, () => newEvent()),
    );
  const gate = withResolvers();
  const revisions: number[] = [];
  const projector = run({
    projector: {
      ...countingProjector,
      async project(_, events) {
        await gate.promise;
        revisions.push(...events.map(({ revision }) => revision));
      },
    },
  });
  const queued = () => projector.status().reduce((sum, status) => sum + status.queued, 0);
  await waitFor(() => queued() >= QUEUE_EVENTS, { what: 'a full queue' });
  expect(queued()).toBeLessThanOrEqual(QUEUE_EVENTS);
  expect(projector.caughtUp).toBe(false);
  gate.resolve();
  await waitFor(() => projector.caughtUp, { what: 'the projector to catch up' });
  expect(revisions).toEqual(Array.from({ length: total }, (_, revision) => revision));
});

it('counts in its queue and in a transaction all that was stored as one', async () => {
  const [stream] = streams(1);
  const each = BATCH_EVENTS / 2 - 1;
  const bundle = (): NewEvent => bundled(Array.from({ length: each }, () => newEvent()))[0]!;
  await store.append(stream!, NO_EVENTS, Array.from({ length: 20 }, bundle));
  const gate = withResolvers();
  const batches: number[] = [];
  const projector = run({
    projector: {
      ...countingProjector,
      async project(_, events) {
        await gate.promise;
        batches.push(events.flatMap(typesOf).length);
      },
    },
  });
  const queued = () => projector.status().reduce((sum, status) => sum + status.queued, 0);
  await waitFor(() => queued() >= QUEUE_EVENTS, { what: 'a full queue' }).finally(gate.resolve);
  expect(queued()).toBeLessThan(QUEUE_EVENTS + each);
  await waitFor(() => projector.caughtUp, { what: 'the projector to catch up' });
  expect(batches.reduce((sum, told) => sum + told, 0)).toBe(20 * each);
  expect(Math.max(...batches)).toBe(2 * each);
});

describe('when something goes wrong', () => {
  it('leaves no rows behind when its lease was stolen in the middle of a batch', async () => {
    const [stream] = streams(1);
    const gate = withResolvers();
    let entered = 0;
    const gated: Projector = {
      ...countingProjector,
      async project(transaction, events) {
        await countingProjector.project(transaction, events);
        entered += 1;
        if (entered === 1) await gate.promise;
      },
    };
    const projector = run({ projector: gated });
    await waitFor(() => projector.caughtUp, { what: 'the projector to catch up' });
    await append([stream!], 1);
    await waitFor(() => entered === 1, { what: 'the batch' });
    await dataSource.query(`UPDATE counting.projector_segments
      SET owner = 'thief', epoch = epoch + 1, leased_until = now() + interval '1 hour'`);
    gate.resolve();
    await waitFor(() => projector.status().length === 0, { what: 'the segments to be dropped' });
    expect(await counts([stream!])).toEqual(new Map());
    expect((await rowsOfSegments()).every(({ owner }) => owner === 'thief')).toBe(true);
    // Given back, they are taken up where they were.
    await dataSource.query(`UPDATE counting.projector_segments SET owner = NULL`);
    await counted([stream!], 1);
  });

  it('moves nothing when the position is not where it left it', async () => {
    const [stream] = streams(1);
    const gate = withResolvers();
    let entered = false;
    const projector = run({
      projector: {
        ...countingProjector,
        async project(transaction, events) {
          await countingProjector.project(transaction, events);
          entered = true;
          await gate.promise;
        },
      },
    });
    await waitFor(() => projector.caughtUp, { what: 'the projector to catch up' });
    await append([stream!], 1);
    await waitFor(() => entered, { what: 'the batch' });
    // As a transaction of ours would have, whose COMMIT was done and its answer lost.
    await dataSource.query('UPDATE counting.projector_segments SET position = $1', [
      String(await store.headPosition()),
    ]);
    gate.resolve();
    await waitFor(() => projector.status().length < 4, { what: 'the segment to be dropped' });
    await waitFor(() => projector.status().length === 4, { what: 'the segment to be taken again' });
    expect(await counts([stream!])).toEqual(new Map());
  });

  it('stops a segment at the event that cannot be applied, says which, and lets the others go on', async () => {
    const [poisoned, ...others] = streams(30);
    await append([poisoned!], 2);
    const poison = newEvent({ poison: true });
    await store.append(poisoned!, 1, [poison]);
    await append(others, 2);
    const errors: object[] = [];
    let cured = false;
    const projector = run({
      projector: {
        ...countingProjector,
        project: (transaction, events) =>
          countingProjector.project(transaction, cured ? events.map((event) => ({ ...event, data: {} })) : events),
      },
      log: { ...silent, error: (details: object) => void errors.push(details) } as never,
    });
    const failed = () => projector.status().find((status) => status.failed);
    await waitFor(failed, { what: 'the segment to fail' });
    expect(failed()!.failed).toEqual({ event: poison.id, reason: 'poison' });
    expect(projector.caughtUp).toBe(false);
    expect(errors).toContainEqual(
      expect.objectContaining({ event: poison.id, stream: poisoned, revision: 2, type: 'Happened', reason: 'poison' }),
    );
    const [row] = (await rowsOfSegments()).filter(({ failed_event }) => failed_event === poison.id);
    expect(row).toMatchObject({ segment: failed()!.segment, failed_reason: 'poison' });
    // What stood before it was applied, what others wrote too.
    expect((await counts([poisoned!])).get(poisoned!)).toBe(2);
    const elsewhere = others.filter((stream) => segmentOf(stream.slice('counted-'.length), 4) !== failed()!.segment);
    await append(elsewhere, 1, 2);
    await counted(elsewhere, 3);

    // With its cause gone and its row cleared it goes on, and nothing was skipped.
    cured = true;
    await dataSource.query('UPDATE counting.projector_segments SET failed_event = NULL');
    await waitFor(() => !failed() && projector.status().length === 4, { what: 'the segment to go on' });
    await counted([poisoned!], 3);
    const rows = await rowsOfSegments();
    expect(rows.every(({ failed_event }) => failed_event === null)).toBe(true);
  });

  it('tries again after a deadlock and after lost connections', async () => {
    const mine = streams(10);
    let attempts = 0;
    const projector = run({
      projector: {
        ...countingProjector,
        async project(transaction, events) {
          await countingProjector.project(transaction, events);
          attempts += 1;
          if (attempts === 1) await transaction.query(`DO $$ BEGIN RAISE SQLSTATE '40P01'; END $$`);
          if (attempts === 3) await dataSource.query('SELECT pg_terminate_backend($1)', await pidOf(transaction));
        },
      },
    });
    await append(mine, 10);
    await counted(mine, 10);
    expect(projector.status().every(({ failed }) => !failed)).toBe(true);
    expect(projector.status().reduce((sum, { retries }) => sum + retries, 0)).toBeGreaterThanOrEqual(2);
  });

  it('survives a store that is killed and one that freezes', async () => {
    const mine = streams(10);
    const projector = run();
    await append(mine, 2);
    process.kill(standIn.child.pid, 'SIGKILL');
    await append(mine, 2, 2);
    await counted(mine, 4);
    process.kill(standIn.child.pid, 'SIGSTOP');
    setTimeout(() => process.kill(standIn.child.pid, 'SIGCONT'), 3_500);
    await append(mine, 2, 4);
    await counted(mine, 6);
    expect(projector.status().every(({ failed }) => !failed)).toBe(true);
  });

  it('does not apply another log to its rows', async () => {
    const mine = streams(4);
    await append(mine, 1);
    const first = run();
    await counted(mine, 1);
    await first.close();
    await dataSource.query(
      `UPDATE counting.projector_segments SET store_id = 'another', position = coalesce(position, 0)`,
    );
    const second = run();
    await waitFor(() => second.status().filter(({ failed }) => failed).length === 4, { what: 'all segments to stop' });
    expect(second.status()[0]!.failed!.reason).toContain('another');
    await second.close();
    await dataSource.query(`UPDATE counting.projector_segments SET store_id = $1, position = 9000000000000000000`, [
      await store.storeId(),
    ]);
    const third = run();
    await waitFor(() => third.status().filter(({ failed }) => failed).length === 4, { what: 'all segments to stop' });
    expect(third.status()[0]!.failed!.reason).toContain('beyond');
  });

  it('stores the position of a log in which nothing matches', async () => {
    const projector = run();
    await waitFor(() => projector.caughtUp, { what: 'the projector to catch up' });
    const before = await store.headPosition();
    const other = `other-${randomUUID()}`;
    await store.append(
      other,
      NO_EVENTS,
      Array.from({ length: 200 }, () => newEvent()),
    );
    await waitFor(() => projector.status().every(({ seen }) => seen !== undefined && seen > before!), {
      what: 'all segments to see the checkpoint',
    });
    await waitFor(async () => (await rowsOfSegments()).every(({ position }) => BigInt(position ?? 0) > before!), {
      what: 'the positions to be stored',
    });
  });
});

describe('several processes', () => {
  it('share the segments, and take over from each other', async () => {
    const mine = streams(20);
    const one = run();
    await waitFor(() => one.status().length === 4, { what: 'one to hold all' });
    const two = run();
    await waitFor(() => one.status().length === 2 && two.status().length === 2, { what: 'a fair share' });
    await append(mine, 3);
    await counted(mine, 3);
    await one.close();
    const closed = Date.now();
    await waitFor(() => two.status().length === 4, { what: 'the other to take over' });
    expect(Date.now() - closed).toBeLessThan(5_000);
    await append(mine, 3, 3);
    await counted(mine, 6);
  });
});

const pidOf = async (sql: Sql): Promise<[number]> => {
  const [{ pid }] = await sql.query('SELECT pg_backend_pid() AS pid');
  return [pid];
};

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((resolved) => (resolve = resolved));
  return { promise, resolve };
}
