import { ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once, setMaxListeners } from 'node:events';
import { rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { DataSource } from 'typeorm';
import { createCountingTables, openCounting } from './counting.fixture';
import { OpenEventStore, openEventStore } from './event-store-db';
import { LEASE_MS, segmentOf, SEGMENTS } from './segments';
import { bundle, newEvent, startStandIn } from './testing';

const LONG = process.env.LONG_TESTS === '1';
/** Long rounds take the lease that is used, the others a shorter one. */
const LEASE = LONG ? LEASE_MS : 2_000;
/** Within this time of whatever happened every segment goes on, in milliseconds. */
const TAKEOVER_LIMIT_MS = 10_000;
const STREAMS_PER_SEGMENT = 4;
/** The first process starts, beside whatever else the machine has to do. */
const START_LIMIT_MS = 60_000;
/** Each stream is appended to this often, in milliseconds. */
const WRITE_EVERY_MS = 50;

/** Of what the processes said a failure shows the last lines. */
const LINES_SHOWN = 25;

type Step = 'join' | 'leave' | 'kill' | 'freeze';
/** From one process on: between one and three live, and every step is taken with two and with three. */
const STEPS: readonly Step[] = ['join', 'freeze', 'kill', 'join', 'join', 'kill', 'join', 'freeze', 'leave', 'leave'];
const ROUNDS = LONG ? [...STEPS, ...STEPS] : STEPS.slice(0, 4);

let standIn: Awaited<ReturnType<typeof startStandIn>>;
let store: OpenEventStore;
let database: TestDatabase;
let dataSource: DataSource;
let main: string;
const living: ChildProcess[] = [];
const said: string[] = [];

beforeAll(async () => {
  main = bundle('counting-process.fixture.ts');
  standIn = await startStandIn();
  store = openEventStore({ url: standIn.url });
  database = await createDatabase();
  await createCountingTables(database.url);
  dataSource = await openCounting(database.url);
});
afterAll(async () => {
  await Promise.all([...living].map((child) => end(child, 'SIGKILL')));
  rmSync(dirname(main), { recursive: true });
  await dataSource.destroy();
  await store.close();
  await database.drop();
  await standIn.close();
});

function start(): void {
  const child = spawn(process.execPath, [main], {
    env: { ...process.env, EVENTSTORE_URL: standIn.url, DATABASE_URL: database.url, LEASE_MS: `${LEASE}` },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr!.on('data', (text) => said.push(String(text)));
  living.push(child);
}
function end(child: ChildProcess, signal: NodeJS.Signals): Promise<unknown> {
  const gone = once(child, 'exit');
  living.splice(living.indexOf(child), 1);
  child.kill(signal);
  return gone;
}

const rows = (): Promise<{ owner: string | null; position: string | null; failed_reason: string | null }[]> =>
  dataSource.query('SELECT * FROM counting.projector_segments ORDER BY segment');

/** All that was in the log at this moment comes to stand in the tables, of every segment. @returns how long it took, in milliseconds */
async function goesOn(what: string, timeoutMs = TAKEOVER_LIMIT_MS): Promise<number> {
  const startedAt = performance.now();
  const head = await store.headPosition();
  await waitFor(async () => (await rows()).every(({ position }) => BigInt(position ?? -1) >= head!), {
    what: `every segment to go on after ${what}`,
    timeoutMs,
  });
  return performance.now() - startedAt;
}

/** Each of these processes holds its share, and nobody more than that. */
const isShared = (among: readonly ChildProcess[]) =>
  waitFor(
    async () => {
      const owners = (await rows()).map(({ owner }) => owner);
      const held = among.map(({ pid }) => owners.filter((owner) => owner === `process ${pid}`).length);
      const most = Math.ceil(SEGMENTS / among.length);
      return held.every((count) => count <= most) && held.reduce((sum, count) => sum + count, 0) === SEGMENTS;
    },
    { what: `${among.length} to hold a share each` },
  );

async function take(step: Step): Promise<number> {
  const oldest = living[0]!;
  switch (step) {
    case 'join': {
      start();
      const took = await goesOn(step);
      await isShared(living);
      return took;
    }
    case 'leave':
    case 'kill': {
      await end(oldest, step === 'kill' ? 'SIGKILL' : 'SIGTERM');
      const took = await goesOn(step);
      await isShared(living);
      return took;
    }
    case 'freeze': {
      oldest.kill('SIGSTOP');
      try {
        const took = await goesOn(step);
        await isShared(living.slice(1));
        return took;
      } finally {
        // What it had in its hands is another's by now.
        oldest.kill('SIGCONT');
        await goesOn('it woke');
        await isShared(living);
      }
    }
  }
}

it(
  'each event takes effect once while processes come, go, die and freeze, and every segment goes on soon',
  async () => {
    const streams = Array.from({ length: SEGMENTS * STREAMS_PER_SEGMENT }, (_, n) => {
      for (;;) {
        const id = randomUUID();
        if (segmentOf(id, SEGMENTS) === n % SEGMENTS) return `counted-${id}`;
      }
    });
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const writers = streams.map(async (stream) => {
      let appended = 0;
      while (!stop.signal.aborted) {
        appended = 1 + (await store.append(stream, appended - 1, [newEvent({ appended })]));
        await delay(WRITE_EVERY_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      }
      return appended;
    });
    try {
      start();
      await isShared(living);
      await goesOn('the start', START_LIMIT_MS);
      for (const [round, step] of ROUNDS.entries()) {
        const before = living.length;
        const took = await take(step);
        const told = `${round + 1}: ${step}, ${before} → ${living.length} processes, all go on after ${Math.round(took)} ms`;
        if (LONG) process.stderr.write(`      ${told}\n`);
      }
    } catch (error) {
      process.stderr.write(`${JSON.stringify(await rows(), undefined, 1)}\n${said.slice(-LINES_SHOWN).join('')}`);
      throw error;
    } finally {
      stop.abort();
    }
    const appended = await Promise.all(writers);
    const counts = async (): Promise<number[]> => {
      const counted = await dataSource.query('SELECT stream, count FROM counting.streams');
      const all = new Map(counted.map(({ stream, count }: { stream: string; count: number }) => [stream, count]));
      return streams.map((stream) => Number(all.get(stream) ?? 0));
    };
    const sum = (numbers: readonly number[]): number => numbers.reduce((total, number) => total + number, 0);
    await waitFor(async () => sum(await counts()) >= sum(appended), { what: 'all to be applied' });
    expect(await counts()).toEqual(appended);
    expect((await rows()).map(({ failed_reason }) => failed_reason)).toEqual(Array(SEGMENTS).fill(null));
    expect(said.filter((line) => line.includes('stopped'))).toEqual([]);
    if (LONG) process.stderr.write(`      ${sum(appended)} events, each applied once\n`);
  },
  LONG ? 900_000 : 180_000,
);
