import { randomUUID } from 'node:crypto';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import { countingProjector, createCountingTables, openCounting } from './counting.fixture';
import { OpenEventStore, openEventStore } from './event-store-db';
import { silent } from './log';
import { RunningProjector, RunOptions, runProjector } from './projector-runner';
import { newEvent, startStandIn } from './testing';

let standIn: Awaited<ReturnType<typeof startStandIn>>;
let store: OpenEventStore;
let database: TestDatabase;
let dataSource: DataSource;
const running: RunningProjector[] = [];

beforeAll(async () => {
  standIn = await startStandIn();
});

afterAll(async () => {
  await standIn?.close();
});

beforeEach(async () => {
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

/** Of this test's own streams: the event store is the suite's. */
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
