import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { Device, login } from './support/client';
import { KINDS, startSystem, System } from './support/system';

const ROOT = resolve(__dirname, '..');
const SIZE = ['--listeners', '4', '--subscriptions', '6', '--plays', '40', '--feeds', '24'];
const PASSWORD = 'a long sentence of theirs';
const SEED_LIMIT_MS = 120_000;

/** Runs the tool as an operator does, told of the stores by the environment alone. */
function seed(options: string[], env: Record<string, string>): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [`${ROOT}/tools/run.mjs`, 'seed', ...options], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}

describe.each(KINDS)('npm run seed on %s', (kind) => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api', 'public-api']);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it(
    'makes listeners who can log in and read what they did, podcasts that the public sees, and times every read',
    async () => {
      const doors = ['--url', system.listeners, '--public', system.public, '--password', PASSWORD];
      const { code, output } = await seed([...SIZE, ...doors, '--measure', '--requests', '3'], system.env);
      expect([code, output]).toEqual([0, expect.stringMatching(/4 listeners, \d{3} events: appended/)]);
      expect(output).toMatch(/^GET \/playlists\/\{id\} +p50 +[\d.]+ ms +p99 +[\d.]+ ms$/m);
      expect(output).toMatch(/^timeline\?offset=10000 +p50/m);
      const names = /Log in as (\S+)-1 to \S+-4, password a long sentence of theirs$/m.exec(output)!;
      for (const n of [1, 4]) {
        const device: Device = await login(system.listeners, { username: `${names[1]}-${n}`, password: PASSWORD });
        expect((await device.get('/subscriptions')).body.subscriptions).toHaveLength(6);
        expect((await device.get('/play')).body.pagination.total).toBe(40);
        expect((await device.get('/playlists')).body.playlists).toHaveLength(3);
        const { data, rejected } = (await device.sync({})).body;
        expect([data.play_statuses.length, rejected]).toEqual([40, []]);
        // What was seeded is as what was sent: it goes on from there.
        expect((await device.subscribe('https://feeds.example/more.xml')).status).toBe(200);
      }
      const trending = await (await fetch(`${system.public}/api/v1/public/trending/podcasts?limit=100`)).json();
      expect((trending as { podcasts: unknown[] }).podcasts.length).toBeGreaterThan(3);
    },
    SEED_LIMIT_MS,
  );

  it('says what is missing when it is told of no stores, or nonsense', async () => {
    const none = await seed([...SIZE, '--url', system.listeners], { DATA_DIR: '/nowhere' });
    expect([none.code, none.output]).toEqual([1, expect.stringContaining('no stores in /nowhere')]);
    const wrong = await seed(['--listeners', 'many'], system.env);
    expect([wrong.code, wrong.output]).toEqual([
      2,
      expect.stringContaining('--listeners is no number from 1 on: many'),
    ]);
  });
});
