import { execFile, spawn } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { waitFor } from '@balados/testing';
import { base64, Device, login, newListener, register, request } from './support/client';
import {
  allListeners,
  contradictions,
  expectTablesToEqualTheLog,
  histories,
  untilProjected,
  withSql,
} from './support/comparison';
import { Crowd, SHARED_FEEDS } from './support/crowd';
import { DebianPostgres, installedPostgres } from './support/debian-postgres';
import { LONG, newSeed, report, within } from './support/limits';
import { LogReader } from './support/log';
import type { ServiceName } from './support/logins';
import { ServiceProcess } from './support/service-process';
import { runServices } from './support/services';
import { LINK_KEY, startSystem, System } from './support/system';

const ROOT = resolve(__dirname, '..');
const WRITERS = 4;
const WRITES = 80;
const UNLIMITED = { RATE_ADDRESS: '0', RATE_LISTENER: '0', RATE_REGISTER: '0' };

/** The commands of docs/operations.md, word for word. */
const CHAPTER = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8').split('\n## Backup and restore\n')[1]!;
const BLOCKS = [...CHAPTER.split('\n## ')[0]!.matchAll(/```sh\n([^`]*)```/g)].map(([, block]) => block!);
const blockWith = (text: string): string => BLOCKS.find((block) => block.includes(text))!;

const programs = installedPostgres();
const suite = LONG && programs ? describe : describe.skip;

suite('pg_dump and pg_restore, as the runbook has them', () => {
  let postgres: DebianPostgres;
  let folder: string;
  let before: System;
  let crowd: Crowd;
  let ada: Device;
  let ofAda: Awaited<ReturnType<typeof register>>;
  const systems: System[] = [];

  beforeAll(async () => {
    postgres = await DebianPostgres.start(programs!);
    folder = mkdtempSync(join(tmpdir(), 'balados-backup-'));
    chmodSync(folder, 0o711);
    before = await start(await postgres.createDatabase('before'));
    ofAda = await register(before.listeners);
    ada = await login(before.listeners, ofAda);
    crowd = await Crowd.start(before, WRITERS, newSeed('backup'));
  }, 120_000);
  afterAll(async () => {
    await crowd?.stop().catch(() => undefined);
    for (const system of systems) await system.stop();
    await postgres?.stop();
    if (folder) rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  async function start(database: string, only?: readonly ServiceName[]): Promise<System> {
    const own = mkdtempSync(join(folder, 'run-'));
    chmodSync(own, 0o711);
    const system = await runServices({ database, folder: own, linkKey: LINK_KEY, extra: UNLIMITED, only });
    systems.push(system);
    return system;
  }

  /** Runs commands of the runbook in a folder, on a database. */
  async function run(commands: string, of: string, database: string): Promise<void> {
    const cwd = join(folder, of);
    mkdirSync(cwd, { recursive: true });
    const env = { PATH: `${programs}:${process.env.PATH}`, DATABASE_URL: database };
    await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', commands], { cwd, env, timeout: 120_000 });
  }
  /** One line of the block that dumps. */
  const dump = (what: 'tables' | 'log', of: string): Promise<void> => {
    const line = blockWith('pg_dump')
      .split('\n')
      .find((each) => each.includes(`${what}.dump`))!;
    return run(line, of, before.database);
  };
  const restored = async (name: string): Promise<string> => {
    const database = await postgres.createDatabase(name);
    await run(blockWith('pg_restore'), name, database);
    return database;
  };

  /** What listeners read of themselves, and everybody of all. */
  async function seen(system: System, listener: Device): Promise<unknown[]> {
    const own = await Promise.all(
      ['/account', '/subscriptions', '/play?limit=100', '/privacy', '/episodes/saved', '/playlists'].map((path) =>
        listener.get(path),
      ),
    );
    const all = await Promise.all(
      ['trending/podcasts?limit=100', 'trending/episodes?limit=100', 'timeline?limit=100'].map((path) =>
        request(`${system.public}/api/v1/public/${path}`),
      ),
    );
    for (const { status, headers } of [...own, ...all])
      expect([status, headers.get('balados-stale'), headers.get('balados-withheld')]).toEqual([200, null, null]);
    return [...own, ...all].map(({ body }) => body);
  }

  const timelineOf = ({ database }: System): Promise<unknown[]> =>
    withSql(database, async (client) => {
      const columns = 'event_type, user_id, feed_id, episode_id, occurred_at, recorded_at';
      const { rows } = await client.query(`SELECT ${columns} FROM site.public_events ORDER BY ${columns}`);
      expect(rows.length).toBeGreaterThan(0);
      return rows;
    });

  async function expectTruth(system: System): Promise<void> {
    const log = new LogReader(system.eventStore);
    try {
      const found = await histories(log, await allListeners(system.database));
      await untilProjected(system, found);
      await expectTablesToEqualTheLog(system, found);
    } finally {
      await log.close();
    }
  }

  async function operate(system: System, ...args: string[]): Promise<{ code: number | null; output: string }> {
    const env = { PATH: process.env.PATH, ...system.envOf('projections') };
    const child = spawn(process.execPath, [join(ROOT, 'dist/apps/projections/operate.js'), ...args], { env });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
    return new Promise((done) => child.on('close', (code) => done({ code, output })));
  }

  const inTime = (body: () => Promise<void>) =>
    within(180, () => systems.flatMap((system) => Object.values(system.processes)), body);

  it(
    'are made while listeners write',
    ...inTime(async () => {
      expect((await ada.send('PUT', '/privacy', { privacy: 'public' })).status).toBe(200);
      for (const answer of [
        await ada.subscribe(SHARED_FEEDS[0]!),
        await ada.play(SHARED_FEEDS[0]!, 'guid,https://media.example/1.mp3', 33),
      ])
        expect(answer.status).toBe(200);
      await crowd.untilAcknowledged(WRITES);
      // The tables, then the log; and tables once more, which are newer than it.
      await dump('tables', 'inorder');
      await crowd.untilAcknowledged(WRITES);
      acknowledged = crowd.writers.map(({ effects }) => effects.filter((effect) => effect.acknowledged));
      await dump('log', 'inorder');
      await dump('log', 'reverse');
      await crowd.untilAcknowledged(WRITES);
      await crowd.untilProjected();
      await dump('tables', 'reverse');
      await crowd.stop();
      await crowd.untilProjected();
      whole = await seen(before, ada);
      await dump('tables', 'quiet');
      await dump('log', 'quiet');
      await before.stop();
      systems.splice(systems.indexOf(before), 1);
    }),
  );
  let acknowledged: (typeof crowd.writers)[number]['effects'][];
  let whole: unknown[];

  it(
    'of a moment in which nobody wrote: all reads answer as before, also from tables that are made anew',
    ...inTime(async () => {
      const system = await start(await restored('quiet'));
      const again = await login(system.listeners, ofAda);
      expect(await seen(system, again)).toEqual(whole);
      // Who was logged in is so still.
      const kept = new Device(system.listeners, ada.userId, ada.token, ada.refreshToken);
      expect((await kept.get('/subscriptions')).status).toBe(200);
      const events = await timelineOf(system);
      for (const name of ['users', 'site']) expect((await operate(system, 'rebuild', name)).code).toBe(0);
      // Within an hour the timeline has no order: rows that are made anew stand elsewhere in it.
      const lists = (all: unknown[]) => all.slice(0, -1);
      expect(lists(await seen(system, again))).toEqual(lists(whole));
      expect(await timelineOf(system)).toEqual(events);
      await expectTruth(system);
    }),
  );

  it(
    'tables first, then the log: nothing that was acknowledged before that is missing, and projections go on by themselves',
    ...inTime(async () => {
      const system = await start(await restored('inorder'));
      const log = new LogReader(system.eventStore);
      const found = await histories(
        log,
        crowd.writers.map(({ userId }) => userId),
      ).finally(() => log.close());
      const problems = crowd.writers.flatMap(({ userId, effects }, writer) => {
        const inLog = effects.map((effect) => ({ ...effect, acknowledged: acknowledged[writer]!.includes(effect) }));
        return contradictions(inLog, found.get(userId)!);
      });
      expect(problems).toEqual([]);
      expect((await operate(system, 'status')).code).toBe(0);
      await expectTruth(system);
      const device = await newListener(system.listeners);
      expect((await device.subscribe(SHARED_FEEDS[0]!)).status).toBe(200);
    }),
  );

  it(
    'a log that is older than the tables: projections stand still and say why, and tables made anew are right',
    ...inTime(async () => {
      const database = await restored('reverse');
      // As the runbook has it: before anybody writes.
      const system = await startUnready(database);
      const stuck = await waitFor(
        async () => {
          const said = await operate(system, 'status');
          return /beyond the event store's head/.test(said.output) ? said : undefined;
        },
        { what: 'projections to stand still' },
      );
      expect(stuck.code).toBe(1);
      expect((await fetch(`${system.processes['projections']!.url}/readyz`)).status).toBe(503);
      for (const command of blockWith('rebuild').trim().split('\n')) {
        const [, args] = /^npm run projections -- (.*?)(?: +#.*)?$/.exec(command)!;
        const { code, output } = await operate(system, ...args!.split(' '));
        expect([args, code, output]).toEqual([args, 0, expect.stringContaining('switched over')]);
      }
      await waitFor(async () => (await fetch(`${system.processes['projections']!.url}/readyz`)).ok, {
        what: 'projections to be ready',
      });
      expect((await operate(system, 'status')).code).toBe(0);
      await expectTruth(system);
    }),
  );

  /** The event store and projections alone, which do not get ready. */
  async function startUnready(database: string): Promise<System> {
    const store = await new ServiceProcess('eventstore', 'standalone/eventstore', { DATABASE_URL: database }).start();
    const env = {
      EVENTSTORE_URL: `esdb://127.0.0.1:${store.port}?tls=false`,
      USERS_DATABASE_URL: database,
      SITE_DATABASE_URL: database,
    };
    const projections = await new ServiceProcess('projections', 'projections/main', env).start();
    const system: System = {
      ...{ listeners: '', public: '', feeds: '', database, eventStore: env.EVENTSTORE_URL, env },
      processes: { projections, eventstore: store },
      envOf: () => env,
      stop: async () => {
        await projections.stop();
        await store.stop();
      },
    };
    systems.push(system);
    return system;
  }
});

(LONG ? describe : describe.skip)('the folder of `npm start`, as the runbook has it', () => {
  it('is copied while it is stopped, and all is as before when it is put back', async () => {
    const env = { LOG_LEVEL: 'info' };
    const first = await startSystem('standalone', env);
    const data = first.env['DATA_DIR']!;
    const kept = mkdtempSync(join(tmpdir(), 'balados-kept-'));
    const commands = (block: string): Promise<unknown> =>
      promisify(execFile)('bash', ['-euo', 'pipefail', '-c', block], {
        cwd: kept,
        env: { PATH: process.env.PATH, DATA_DIR: data },
      });
    const again = new ServiceProcess('standalone', 'standalone/main', { ...first.env });
    try {
      const device = await newListener(first.listeners);
      expect((await device.subscribe(SHARED_FEEDS[0]!)).status).toBe(200);
      expect((await device.send('POST', '/playlists', { name: base64('kept') })).status).toBe(200);
      const [held, lists] = [await device.get('/subscriptions'), await device.get('/playlists')];
      await first.processes['standalone']!.stop();
      await commands(blockWith('tar --create'));
      rmSync(data, { recursive: true });
      await commands(blockWith('tar --extract'));
      await again.start();
      await waitFor(async () => (await fetch(`${again.url}/readyz`)).ok, { what: 'readiness' });
      const same = new Device(again.url, device.userId, device.token, device.refreshToken);
      expect((await same.get('/subscriptions')).body).toEqual(held.body);
      expect((await same.get('/playlists')).body).toEqual(lists.body);
      report('restored from a copy of its folder');
    } finally {
      await again.stop().catch(() => undefined);
      await first.stop();
      rmSync(kept, { recursive: true, force: true });
    }
  }, 180_000);
});
