import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { NO_EVENTS, Recorded } from '@balados/event-sourcing';
import { openEventStore } from '@balados/platform-stores';
import { waitFor } from '@balados/testing';
import { usersEvents } from '@balados/users-contracts';
import { listening, subscriptions } from '@balados/users-domain';
import { openListenerStreams } from '@balados/users-write';
import { Client } from 'pg';
import { base64, Device, newListener } from './support/client';
import { contradictions, expectTablesToEqualTheLog, History, untilProjected, withSql } from './support/comparison';
import { Crowd } from './support/crowd';
import { LONG, newSeed, oneOf, randomFrom, report, within } from './support/limits';
import { LogReader } from './support/log';
import { Recorder } from './support/recorder';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

const FEED = 'https://feeds.example/a.xml';
const ITEM = 'guid-1,https://media.example/1.mp3';
const WRITERS = 4;
const KILLS = LONG ? 30 : 3;
/** About a second, so that there is work for every round. */
const AT_ONCE = '0.00001';
/** No rss-proxy listens there. */
const NO_FEEDS = 'tcp://127.0.0.1:1';

let system: System;
let client: Client;
/** From the beginning, since jobs have the store scavenge. */
let recorder: Recorder;
beforeAll(async () => {
  const env = { CHECKPOINT_AFTER_DAYS: AT_ONCE, DROP_AFTER_DAYS: AT_ONCE, JOBS_EVERY: '1', LOG_LEVEL: 'debug' };
  system = await startSystem('services', env, ['projections', 'command-api']);
  recorder = new Recorder(system.eventStore);
  client = new Client({ connectionString: system.database });
  await client.connect();
}, 120_000);
afterAll(async () => {
  await client?.end();
  await recorder?.close();
  await system?.stop();
}, 120_000);

const inTime = (seconds: number, body: () => Promise<void>) =>
  within(seconds, () => Object.values(system.processes), body);

/** Runs jobs as an operator does in an image. */
const jobs = (...args: string[]): Promise<{ code: number | null; output: string }> => begin(...args).ended;

function begin(...args: string[]) {
  const env = { PATH: process.env.PATH, ...system.envOf('jobs'), FEEDS_URL: undefined, LOG_LEVEL: '' };
  const child = spawn(process.execPath, ['dist/apps/jobs/run.js', ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const ended = new Promise<{ code: number | null; output: string }>((resolve) =>
    child.on('close', (code) => resolve({ code, output })),
  );
  return { child, ended };
}

/** Every row of every table, the log included, but for the leases of projectors, which are renewed all the time. */
async function everything(): Promise<Record<string, string[]>> {
  const { rows: tables } = await client.query<{ name: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'
       AND table_name NOT IN ('projector_segments', 'projector_members', 'segments_caught_up')`,
  );
  const found: Record<string, string[]> = {};
  for (const { name } of tables) {
    const { rows } = await client.query<{ row: string }>(`SELECT t::text AS row FROM ${name} t ORDER BY 1`);
    found[name] = rows.map(({ row }) => row);
  }
  return found;
}

const projectedUpTo = (device: Device, heads: Record<string, number>): Promise<unknown> =>
  waitFor(
    async () => {
      const { rows } = await client.query(
        'SELECT category, revision::int FROM users.listener_revisions WHERE user_id = $1',
        [device.userId],
      );
      return Object.entries(heads).every(([category, head]) =>
        rows.some((row) => row.category === category && row.revision >= head),
      );
    },
    { what: 'the projections' },
  );

let device: Device;

describe('jobs by hand', () => {
  const log = () => new LogReader(system.eventStore);

  it(
    'say what they would do, and change nothing',
    ...inTime(60, async () => {
      device = await newListener(system.listeners);
      for (const { status } of [
        await device.send('PUT', '/privacy', { privacy: 'public', feed: base64(FEED) }),
        await device.subscribe(FEED),
        await device.subscribe(`${FEED}?left`),
        await device.unsubscribe(`${FEED}?left`),
        await device.play(FEED, ITEM, 30),
        await device.play(FEED, ITEM, 40),
        await device.save(ITEM, FEED),
      ])
        expect(status).toBe(200);
      await projectedUpTo(device, { subscriptions: 2, listening: 2, privacy: 0 });
      await waitFor(async () => (await client.query('SELECT FROM site.podcast_popularity')).rowCount === 1, {
        what: 'the podcast to be public',
      });
      expect((await device.send('DELETE', `/history?feed=${base64(`${FEED}?gone`)}`)).status).toBe(202);
      await projectedUpTo(device, { subscriptions: 3, listening: 3 });
      await client.query(`UPDATE users.erasures SET requested_at = requested_at - interval '1 minute'`);
      await client.query('UPDATE site.podcast_popularity SET score = score + 7');
      const old = `SELECT FROM users.listener_revisions WHERE oldest_at < now() - interval '1 second'`;
      await waitFor(async () => (await client.query(old)).rowCount, { what: 'a stream to be due' });
      const before = await everything();
      const { code, output } = await jobs('all', '--dry-run');
      expect(await everything()).toEqual(before);
      expect(output.replace(/\(\d+\.\d s\)/g, '()').split('\n')).toEqual([
        'erasures: pending 1; nothing is changed ()',
        expect.stringMatching(/^checkpoint: due [1-4]; nothing is changed/),
        'trim: uncut 0; nothing is changed ()',
        expect.stringMatching(/^windows: passing 0; nothing is changed/),
        // A first one never was arranged.
        'timeline: leaving 1; nothing is changed ()',
        'drift: podcasts 1, differing 1; nothing is changed ()',
        'metadata: due 1; nothing is changed ()',
        'scavenge: due 1; nothing is changed ()',
        'sessions: sessions 0, keys 0, logins 0; nothing is changed ()',
        '',
      ]);
      expect(code).toBe(0);
    }),
  );

  it(
    'are not done when Ctrl-C stops them, and say so',
    ...inTime(60, async () => {
      const { ended } = await withSql(system.database, async (other) => {
        await other.query('BEGIN; LOCK TABLE users.erasures IN ACCESS EXCLUSIVE MODE');
        const begun = begin('all');
        await waitFor(
          async () =>
            (
              await client.query(
                `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%erasures%'
                   AND datname = current_database() AND usename LIKE 'jobs%'`,
              )
            ).rowCount,
          { what: 'the first of them to begin' },
        );
        begun.child.kill('SIGINT');
        return begun;
      });
      expect(await ended).toMatchObject({ code: 1, output: expect.stringMatching(/^stopped before \w+$/m) });
    }),
  );

  it(
    'do it, and leave alone what somebody else is at',
    ...inTime(60, async () => {
      await client.query('SELECT pg_advisory_lock(0x7472696d)');
      expect(await jobs('trim')).toMatchObject({
        code: 3,
        output: expect.stringMatching(/^trim: somebody else is at it/),
      });
      await client.query('SELECT pg_advisory_unlock(0x7472696d)');
      expect(await jobs('drift')).toMatchObject({
        code: 0,
        output: expect.stringMatching(/^drift: podcasts 1, differing 1/),
      });
      expect((await jobs('drift', '--dry-run')).output).toMatch(/^drift: podcasts 1, differing 0/);
      const reader = log();
      await waitFor(
        async () => {
          expect(await jobs('all')).toMatchObject({ code: 0 });
          const events = await reader.read(`subscriptions-${device.userId}`);
          const erasures = await client.query('SELECT FROM users.erasures WHERE finished_at IS NULL');
          return events[0]!.type === 'CheckpointTaken' && erasures.rowCount === 0;
        },
        { what: 'the stream to be cut and the erasure to be done', timeoutMs: 40_000 },
      );
      await reader.close();
      expect((await device.get('/subscriptions')).body.subscriptions).toHaveLength(1);
    }),
  );
});

describe('two replicas that are killed at any moment', () => {
  interface Line {
    at: number;
    replica: string;
    job: string;
    what: 'begins' | 'ends' | 'dies';
  }

  it(
    'cut nothing that no checkpoint covers, are never two at one job, and finish every erasure',
    ...inTime(LONG ? 1_200 : 150, async () => {
      const random = randomFrom(newSeed('jobs, kill'));
      const crowd = await Crowd.start(system, WRITERS, newSeed('jobs, writers'));
      const replicas = ['jobs-1', 'jobs-2'].map(
        (name) => new ServiceProcess(name, 'jobs/main', { ...system.envOf('jobs'), FEEDS_URL: NO_FEEDS }),
      );
      for (const replica of replicas) {
        system.processes[replica.name] = replica;
        await replica.start();
      }
      // Of what was before nothing is left to be counted.
      expect((await device.send('DELETE', '/history')).status).toBe(202);
      const lines: Line[] = [];
      /** From when each was killed until it was gone: what it began then nobody was kept from. Its last lines may be read later. */
      const deaths: { replica: ServiceProcess; from: number; to: number }[] = [];
      const collect = (replica: ServiceProcess): void => {
        for (const line of replica.lines.splice(0)) {
          const { time, job, msg } = JSON.parse(line.startsWith('{') ? line : '{}');
          const what = /^a job (begins|ends)$/.exec(msg)?.[1] as Line['what'] | undefined;
          const at = Date.parse(time);
          const isLast = deaths.some((death) => death.replica === replica && at >= death.from && at <= death.to);
          if (what && !isLast) lines.push({ at, replica: replica.name, job, what });
        }
      };
      for (let kill = 0; kill < KILLS; kill += 1) {
        const leaver = await newListener(system.listeners);
        await leaver.subscribe(FEED);
        await leaver.play(FEED, ITEM, kill);
        expect((await leaver.send('DELETE', '/history')).status).toBe(202);
        const replica = oneOf(random, replicas);
        // Not a wait for anything: where it strikes is left to chance.
        await delay(random() * 1_500);
        const diedAt = Date.now();
        await replica.kill();
        deaths.push({ replica, from: diedAt, to: Date.now() });
        lines.push({ at: diedAt, replica: replica.name, job: '', what: 'dies' });
        await replica.start();
        for (const each of replicas) collect(each);
      }
      await crowd.untilAcknowledged(50);
      await crowd.stop();
      await waitFor(
        async () => (await client.query('SELECT FROM users.erasures WHERE finished_at IS NULL')).rowCount === 0,
        { what: 'every erasure to be done', timeoutMs: 60_000 },
      );
      const cutStreams = `SELECT FROM users.listener_revisions
        WHERE cut >= 0 AND user_id = ANY($1) AND category IN ('subscriptions', 'listening')`;
      const ids = crowd.writers.map(({ userId }) => userId);
      await waitFor(async () => (await client.query(cutStreams, [ids])).rowCount! >= WRITERS, {
        what: 'some of what was written to be cut',
        timeoutMs: 60_000,
      });
      for (const replica of replicas) {
        await replica.stop();
        collect(replica);
      }

      expect(recorder.problems).toEqual([]);
      expect(overlaps(lines)).toEqual([]);
      const { cut, found } = await compareWithRecorded(crowd);
      report(
        `${KILLS} kills, ${lines.filter(({ what }) => what === 'ends').length} runs of jobs, ${crowd.acknowledged} writes,`,
      );
      report(`${recorder.checkpoints} parts of checkpoints, ${cut} streams cut`);
      expect(cut).toBeGreaterThanOrEqual(WRITERS);
      await untilProjected(system, found);
      await expectTablesToEqualTheLog(system, found);
    }),
  );

  /** Jobs that began while another replica was at the same. A run within one millisecond has no order by time with others of that one. */
  function overlaps(lines: readonly Line[]): Line[] {
    const atIt = new Map<string, string>();
    const isShort = ({ replica, job, at, what }: Line): boolean =>
      what !== 'dies' &&
      lines.filter((line) => line.replica === replica && line.job === job && line.at === at).length === 2;
    return lines
      .filter((line) => !isShort(line))
      .sort((one, other) => one.at - other.at || (one.what === 'begins' ? 1 : -1))
      .filter(({ replica, job, what }) => {
        if (what === 'begins') {
          const isTwice = atIt.has(job);
          atIt.set(job, replica);
          return isTwice;
        }
        for (const [held, by] of atIt) if (by === replica && (what === 'dies' || held === job)) atIt.delete(held);
        return false;
      });
  }

  /** What is left of each stream says what all of its events said, and every acknowledged write is among these. */
  async function compareWithRecorded(crowd: Crowd) {
    const store = openEventStore({ url: system.eventStore });
    const streams = openListenerStreams(store, 0);
    const found = new Map<string, History>();
    let cut = 0;
    try {
      for (const { userId, effects } of crowd.writers) {
        const history: History = { subscriptions: [], listening: [] };
        for (const category of ['subscriptions', 'listening'] as const) {
          const stream = `${category}-${userId}`;
          const head = await store.head(stream);
          await waitFor(() => (recorder.heads.get(stream) ?? NO_EVENTS) >= head, { what: `${stream} to be recorded` });
          history[category] = recorder.streams.get(stream) ?? [];
          const decider = { subscriptions, listening }[category];
          const whole = history[category]
            .flatMap((event) => usersEvents.decode(event) as Recorded<never>[])
            .reduce<unknown>((state, event) => decider.evolve(state as never, event), decider.initialState());
          // What came last is of what was told, and not of what is left.
          const stood = await streams[category].query(userId, ({ state }): unknown => ({ ...state, recent: [] }));
          expect(stood).toEqual({ ...(whole as object), recent: [] });
          for await (const { revision } of store.read(stream)) {
            if (revision > 0) cut += 1;
            break;
          }
        }
        found.set(userId, history);
        const said = (events: History['listening']) =>
          events.filter(({ type }) => type !== 'ContentDropped').map((event, revision) => ({ ...event, revision }));
        const { subscriptions: ofPodcasts, listening: ofPlays } = history;
        expect(contradictions(effects, { subscriptions: said(ofPodcasts), listening: said(ofPlays) })).toEqual([]);
      }
    } finally {
      await store.close();
    }
    return { cut, found };
  }
});
