import { chmodSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { Client } from 'pg';
import { Answer, Device, newListener, request } from './support/client';
import { withSql } from './support/comparison';
import { Door } from './support/door';
import { report, timed, within } from './support/limits';
import { alive, family } from './support/processes';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

const FEED = 'https://feeds.example/kept.xml';
/** A write is answered within this time, in milliseconds, whatever the stores do. */
const ANSWER_LIMIT_MS = 30_000;

const isReady = async (url: string): Promise<boolean> => (await fetch(`${url}/readyz`)).ok;

/** A request whose last line is still to be sent; `finish` sends it and resolves with all that came back. */
async function halfSent(port: number): Promise<() => Promise<string>> {
  const socket = connect(port, '127.0.0.1');
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => (answer += text));
  const ended = new Promise<string>((resolve, reject) => {
    socket.on('close', () => resolve(answer)).on('error', reject);
  });
  ended.catch(() => undefined);
  await new Promise<void>((resolve) => {
    socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n', () => resolve());
  });
  return () => {
    socket.write('\r\n');
    return ended;
  };
}

/** By now the process has read whatever reached it before: it answers what came after. */
async function hasReadAll(url: string): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) expect((await request(`${url}/healthz`)).status).toBe(200);
}

async function beginToStop(service: ServiceProcess): Promise<void> {
  const stops = (): number => service.lines.filter((line) => line.includes('"stopping"')).length;
  const before = stops();
  service.signal('SIGTERM');
  await waitFor(() => stops() > before, { what: 'the stop to begin' });
}

describe('a service that is told to stop', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem('services');
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);
  const inTime = (body: () => Promise<void>) => within(60, () => Object.values(system.processes), body);

  it(
    'command-api: writes that wait for the log get their answers',
    ...inTime(async () => {
      const api = system.processes['command-api']!;
      const store = system.processes['eventstore']!;
      const devices = await Promise.all(Array.from({ length: 8 }, () => newListener(api.url)));
      for (const device of devices) expect((await device.get('/subscriptions')).status).toBe(200);
      store.signal('SIGSTOP');
      const writes = devices.map((device) => device.subscribe(FEED));
      await hasReadAll(api.url);
      await beginToStop(api);
      store.signal('SIGCONT');
      const answers = await Promise.all(writes);
      expect(answers.map(({ status }) => status)).toEqual(devices.map(() => 200));
      expect(await api.waitUntilEnded()).toBe(0);
      await expect(request(`${api.url}/healthz`)).rejects.toThrow();
      await api.start();
      for (const device of devices) expect((await device.get('/subscriptions')).body.subscriptions).toHaveLength(1);
    }),
  );

  it(
    'public-api: reads that wait for Postgres get their answers',
    ...inTime(async () => {
      const api = system.processes['public-api']!;
      const client = new Client({ connectionString: system.database });
      await client.connect();
      try {
        await client.query('BEGIN; LOCK TABLE site.podcast_popularity IN ACCESS EXCLUSIVE MODE');
        const reads = Array.from({ length: 4 }, () => request(`${api.url}/api/v1/public/trending/podcasts`));
        await hasReadAll(api.url);
        await beginToStop(api);
        await client.query('COMMIT');
        expect((await Promise.all(reads)).map(({ status }) => status)).toEqual([200, 200, 200, 200]);
      } finally {
        await client.end();
      }
      expect(await api.waitUntilEnded()).toBe(0);
      await api.start();
    }),
  );

  it.each(['command-api', 'public-api', 'projections', 'jobs', 'rss-proxy', 'play-gateway'])(
    '%s: hears a request out, and ends with code 0',
    async (name) => {
      const service = system.processes[name]!;
      const finish = await halfSent(service.port);
      await hasReadAll(service.url);
      const startedAt = performance.now();
      await beginToStop(service);
      const answer = await finish();
      expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
      expect(answer).toMatch(/^connection: close\r$/im);
      expect(answer).toMatch(/\{"status":"alive"\}$/);
      expect(await service.waitUntilEnded()).toBe(0);
      report(`${name} stopped after ${Math.round(performance.now() - startedAt)} ms`);
      await service.start();
    },
    60_000,
  );

  it(
    'the event store: ends with code 0 under its subscribers, who find it again',
    ...inTime(async () => {
      const store = system.processes['eventstore']!;
      expect(await store.stop()).toBe(0);
      await store.start();
      for (const name of ['command-api', 'projections'])
        await waitFor(() => isReady(system.processes[name]!.url), { what: `${name} to be ready` });
    }),
  );
});

describe('standalone', () => {
  let folder: string;
  let standalone: ServiceProcess;
  let device: Device;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'balados-lifecycle-'));
    chmodSync(folder, 0o711);
    standalone = new ServiceProcess('standalone', 'standalone/main', { DATA_DIR: folder }, { ownGroup: true });
    await standalone.start();
    device = await newListener(standalone.url);
    await expectServing();
  }, 120_000);
  afterAll(async () => {
    await standalone?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);
  const inTime = (body: () => Promise<void>) => within(90, () => [standalone], body);

  /** Takes writes, projects them, and has all that was written before. */
  async function expectServing(): Promise<void> {
    await waitFor(() => isReady(standalone.url), { what: 'readiness' });
    const feed = `https://feeds.example/${Date.now()}.xml`;
    await waitFor(async () => (await device.subscribe(feed)).status === 200, { what: 'a write' });
    await waitFor(async () => (await device.subscribe(FEED)).status === 200, { what: 'a write' });
    const { status, headers, body } = await device.get('/subscriptions');
    expect([status, headers.get('balados-stale')]).toEqual([200, null]);
    const feeds = body.subscriptions.map((entry: { rss_source_feed: string }) =>
      Buffer.from(entry.rss_source_feed, 'base64').toString(),
    );
    expect(feeds).toEqual(expect.arrayContaining([...known, FEED, feed]));
    known.push(feed);
  }
  const known: string[] = [];

  const children = (what: string) => family(standalone.pid, folder).filter(({ command }) => command.includes(what));

  it.each<[string, NodeJS.Signals, (signal: NodeJS.Signals) => void, number | null]>([
    ['SIGTERM', 'SIGTERM', (signal) => standalone.signal(signal), 0],
    ['Ctrl-C, which reaches its children too', 'SIGINT', (signal) => standalone.signalGroup(signal), 0],
    ['SIGKILL', 'SIGKILL', (signal) => standalone.signal(signal), null],
  ])(
    'leaves no process behind after %s, and starts again with its data',
    async (_name, signal, send, code) => {
      const all = family(standalone.pid, folder);
      expect(all.filter(({ command }) => /eventstore\.js|postgres/.test(command)).length).toBeGreaterThan(4);
      const startedAt = performance.now();
      send(signal);
      expect(await standalone.waitUntilEnded()).toBe(code);
      const gone = (): boolean => {
        const left = alive(all);
        if (left.length > 0) throw new Error(`${left.length} left, such as ${left[0]!.command}`);
        return true;
      };
      if (code === 0) gone();
      else await waitFor(gone, { what: 'the children to end' });
      report(`all gone ${Math.round(performance.now() - startedAt)} ms after ${signal}`);
      await standalone.start();
      await expectServing();
    },
    90_000,
  );

  it.each([
    ['the event store', 'standalone/eventstore.js', '"eventstore: listening"'],
    ['what supervises Postgres', 'standalone/postgres.js', '"postgres: listening"'],
    ['Postgres', 'bin/postgres ', 'started again'],
  ])(
    'recovers by itself when %s is killed',
    async (store, command, sign) => {
      const signs = (): number => standalone.lines.filter((line) => line.includes(sign)).length;
      const before = signs();
      const [child] = children(command);
      process.kill(child!.pid, 'SIGKILL');
      const restarted = await timed('the restart', () => {
        const others = children(command).filter(({ pid }) => pid !== child!.pid);
        return others.length > 0 && signs() > before;
      });
      const served = await timed('service', () => expectServing().then(() => true));
      report(`${store} started again after ${restarted} ms, served ${served} ms later`);
      expect(children(command).map(({ pid }) => pid)).not.toContain(child!.pid);
      expect(children(command)).toHaveLength(1);
    },
    90_000,
  );

  it(
    'answers in time while the event store is frozen, and recovers',
    ...inTime(async () => {
      const [store] = children('standalone/eventstore.js');
      process.kill(store!.pid, 'SIGSTOP');
      try {
        await expectUnavailableLog(device);
      } finally {
        process.kill(store!.pid, 'SIGCONT');
      }
      await expectServing();
    }),
  );
});

/** Writes are refused for now, in bounded time; reads are answered and say that they may be old. */
async function expectUnavailableLog(device: Device): Promise<void> {
  const times: Record<string, number> = {};
  const timedOf = async (name: string, request: Promise<Answer>): Promise<Answer> => {
    const startedAt = performance.now();
    const answer = await request;
    times[name] = Math.round(performance.now() - startedAt);
    return answer;
  };
  const writes = [
    timedOf('subscribe', device.subscribe('https://feeds.example/frozen.xml')),
    timedOf('play', device.play(FEED, 'guid,https://media.example/1.mp3', 3)),
    timedOf('sync', device.sync({})),
  ];
  const reads = ['/subscriptions', '/play'].map((path) => timedOf(`read ${path}`, device.get(path)));
  for (const { status, headers, body } of await Promise.all(writes)) {
    expect([status, body.status]).toEqual([503, 503]);
    expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
  }
  for (const { status, headers } of await Promise.all(reads))
    expect([status, headers.get('balados-stale')]).toEqual([200, 'true']);
  expect(Math.max(...Object.values(times))).toBeLessThan(ANSWER_LIMIT_MS);
  report(`answers while the log was frozen, ms: ${JSON.stringify(times)}`);
}

describe('services whose Postgres goes away', () => {
  let system: System;
  let database: TestDatabase;
  let door: Door;
  let device: Device;

  beforeAll(async () => {
    database = await createDatabase();
    const url = new URL(database.url);
    door = await new Door({ host: url.hostname, port: Number(url.port) }).open();
    url.host = `127.0.0.1:${door.port}`;
    // The log keeps its own way to its own database.
    const env = { USERS_DATABASE_URL: url.href, SITE_DATABASE_URL: url.href };
    system = await startSystem('services', env, ['projections', 'command-api', 'public-api']);
    device = await newListener(system.listeners);
  }, 120_000);
  afterAll(async () => {
    await door?.open();
    await system?.stop();
    await door?.shut();
    await database?.drop();
  }, 120_000);
  const inTime = (body: () => Promise<void>) => within(120, () => Object.values(system.processes), body);

  it.each<[string, () => unknown]>([
    ['is cut off', () => door.shut()],
    ['is silent', () => door.hold()],
  ])(
    'answer in time while it %s, and recover',
    async (_name, fail) => {
      await inTime(async () => {
        await device.subscribe(FEED);
        // Always the same addresses, whose answers are kept.
        const known = () =>
          Promise.all(['trending/podcasts', 'timeline'].map((path) => fetch(`${system.public}/api/v1/public/${path}`)));
        const isStale = (answers: Response[]) => answers.map(({ headers }) => headers.get('balados-stale'));
        await known();
        await fail();
        const seen = new Map<number, number>();
        const ask = async (): Promise<void> => {
          const again = known();
          const answers = await Promise.all(
            [
              () => device.get('/subscriptions'),
              () => device.get('/play'),
              () => device.play(FEED, 'guid,https://media.example/1.mp3', Date.now() % 1_000_000),
              () => request(`${system.public}/api/v1/public/trending/podcasts`),
              () => request(`${system.public}/api/v1/public/timeline`),
            ].map(async (send) => {
              const startedAt = performance.now();
              const answer = await send();
              expect(performance.now() - startedAt).toBeLessThan(ANSWER_LIMIT_MS);
              return answer;
            }),
          );
          for (const { status, headers, body } of answers) {
            seen.set(status, (seen.get(status) ?? 0) + 1);
            if (status === 200) continue;
            expect([status, body.status]).toEqual([503, 503]);
            expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
          }
          expect((await again).map(({ status }) => status)).toEqual([200, 200]);
        };
        // What is known of the session is forgotten after seconds: from then on nobody gets in.
        await waitFor(async () => ask().then(async () => (await device.subscribe(FEED)).status === 503), {
          what: 'the session to be unknown',
        });
        for (const name of ['command-api', 'projections', 'public-api']) {
          const { url } = system.processes[name]!;
          expect((await request(`${url}/healthz`)).status).toBe(200);
          expect((await request(`${url}/readyz`)).status).toBe(503);
        }
        expect(isStale(await known())).toEqual(['true', 'true']);
        report(`answers while Postgres was away: ${JSON.stringify(Object.fromEntries(seen))}`);

        await door.open();
        const feed = `https://feeds.example/${Date.now()}.xml`;
        const took = await timed('a write', async () => (await device.subscribe(feed)).status === 200);
        await withSql(database.url, (client) =>
          waitFor(
            async () => {
              const { rowCount } = await client.query('SELECT 1 FROM users.subscriptions WHERE feed = $1', [feed]);
              return rowCount === 1;
            },
            { what: 'the write in its table' },
          ),
        );
        for (const { url } of Object.values(system.processes).filter(({ name }) => name !== 'eventstore'))
          await waitFor(() => isReady(url), { what: 'readiness' });
        await waitFor(async () => isStale(await known()).every((stale) => stale === null), { what: 'new answers' });
        report(`recovered after ${took} ms`);
      })[0]();
    },
    125_000,
  );
});
