import { ChildProcess, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { NewEvent, NO_EVENTS, streamOf } from '@balados/event-sourcing';
import { OpenEventStore, openEventStore } from '@balados/platform-stores';
import { drift } from '@balados/site-projections';
import { waitFor } from '@balados/testing';
import { UsersEvent, usersEvents } from '@balados/users-contracts';
import { Client } from 'pg';
import { withSql } from './support/comparison';
import { Device, newListener } from './support/client';
import { startSystem, System } from './support/system';

const ROOT = resolve(__dirname, '..');
/** Enough that a rebuild takes some seconds. */
const LISTENERS = 30;
const PLAYS = 400;

/** As an operator calls it: in the image, or with `npm run projections`. */
const IN_IMAGE = [`${ROOT}/dist/apps/projections/operate.js`];
const WITH_NPM = [`${ROOT}/tools/run.mjs`, 'projections'];

interface Called {
  child: ChildProcess;
  ended: Promise<{ code: number | null; output: string }>;
}

function call(args: readonly string[], env: Record<string, string>, command = IN_IMAGE): Called {
  const child = spawn(process.execPath, [...command, ...args], {
    env: { PATH: process.env.PATH, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return { child, ended: new Promise((done) => child.on('close', (code) => done({ code, output }))) };
}

/** Straight into the log: what a small town played. */
async function played(store: OpenEventStore): Promise<void> {
  const recordedAt = new Date().toISOString();
  const encoded = (event: UsersEvent): NewEvent =>
    usersEvents.encode(event, { recordedAt, correlationId: 'test' }, randomUUID());
  for (let listener = 0; listener < LISTENERS; listener += 1) {
    const plays = Array.from({ length: PLAYS }, (_, n) => {
      const [feed, item] = [`https://feeds.example/${n % 20}.xml`, `guid-${n},https://media.example/${n}.mp3`];
      return encoded({ type: 'PlayRecorded', data: { feed, item, position: n, played: false, updatedAt: recordedAt } });
    });
    await store.append(streamOf('listening', randomUUID()), NO_EVENTS, plays);
  }
}

const plays = async (client: Client): Promise<number> =>
  (await client.query('SELECT count(*)::int AS count FROM users.play_statuses')).rows[0].count;
const rowsOfUsers = async (client: Client): Promise<unknown> =>
  (await client.query('SELECT * FROM users.play_statuses ORDER BY user_id, episode_id')).rows;

describe('making tables anew beside the six processes', () => {
  let system: System;
  let store: OpenEventStore;
  let device: Device;

  beforeAll(async () => {
    system = await startSystem('services', {}, ['projections', 'command-api', 'public-api']);
    store = openEventStore({ url: system.eventStore });
    device = await newListener(system.listeners);
    await played(store);
    await withSql(system.database, (client) =>
      waitFor(async () => (await plays(client)) === LISTENERS * PLAYS, { what: 'all plays to be projected' }),
    );
  }, 120_000);
  afterAll(async () => {
    await store?.close();
    await system?.stop();
  }, 120_000);

  /** As the login of the service, in its roles. */
  const asProjections = (): Record<string, string> => system.envOf('projections');
  const status = async (): Promise<{ code: number | null; output: string }> => call(['status'], asProjections()).ended;

  it('goes on after kill -9, is shared by two processes, and is seen by nobody who reads or writes', async () => {
    await withSql(system.database, async (client) => {
      const before = await rowsOfUsers(client);
      const killed = call(['rebuild', 'users'], asProjections());
      const begun = `SELECT FROM users_rebuild.play_statuses LIMIT 1`;
      await waitFor(async () => (await client.query(begun)).rowCount === 1, { what: 'the rebuild to have begun' });
      killed.child.kill('SIGKILL');
      await killed.ended;
      await waitFor(async () => (await status()).output.includes('users-rebuild: nobody is at it'), {
        what: 'status to say that it is abandoned',
      });

      const over = new AbortController();
      const reading = (async () => {
        for (let nth = 1; !over.signal.aborted; nth += 1) {
          const feed = `https://feeds.example/of-${device.userId}-${nth}.xml`;
          expect((await device.subscribe(feed)).status).toBe(200);
          const answer = await device.get('/subscriptions');
          expect([answer.status, answer.body.subscriptions.length]).toEqual([200, nth]);
        }
      })();
      const ended = await Promise.all([1, 2].map(() => call(['rebuild', 'users'], asProjections()).ended));
      over.abort();
      await reading;
      expect(ended).toEqual([
        { code: 0, output: expect.stringMatching(/users: [\d,]+ events in [\d.]+ s; switched over/) },
        { code: 0, output: expect.stringMatching(/users: [\d,]+ events in [\d.]+ s; switched over/) },
      ]);
      expect(ended.filter(({ output }) => output.includes('nobody could read for'))).toHaveLength(1);
      expect(await rowsOfUsers(client)).toEqual(before);
      expect((await client.query(`SELECT FROM pg_namespace WHERE nspname LIKE '%rebuild'`)).rowCount).toBe(0);

      expect((await call(['rebuild', 'site'], asProjections()).ended).code).toBe(0);
      const sql = { query: async (statement: string) => (await client.query(statement)).rows };
      expect(await drift(sql as never, { publicMinListeners: 2 })).toBe(0);
    });
  }, 240_000);

  it('publishes no more than before by a PUBLIC_MIN_LISTENERS that is not that of the services, unless told to', async () => {
    const rebuildSite = (least: string, ...args: string[]) =>
      call(['rebuild', 'site', ...args], { ...asProjections(), PUBLIC_MIN_LISTENERS: least }).ended;
    await withSql(system.database, async (client) => {
      const published = async (): Promise<number> =>
        (await client.query('SELECT FROM site.podcast_popularity')).rowCount!;
      // What one alone is subscribed to.
      const before = await published();
      expect(await rebuildSite('1')).toEqual({ code: 1, output: expect.stringContaining('--publish') });
      expect(await published()).toBe(before);
      expect((await rebuildSite('1', '--publish')).code).toBe(0);
      expect(await published()).toBeGreaterThan(before);
      // To hide needs no leave.
      expect((await rebuildSite('2')).code).toBe(0);
      expect(await published()).toBe(before);
    });
  }, 120_000);

  it('lets people pass an event that cannot be applied, and remembers who did', async () => {
    const [poison, stream] = [randomUUID(), streamOf('privacy', randomUUID())];
    await store.append(stream, NO_EVENTS, [{ id: poison, type: 'NeverDeclared', data: {}, metadata: { version: 1 } }]);
    const stuck = await waitFor(
      async () => {
        const said = await status();
        return said.output.match(new RegExp(`^(users|site) .* event ${poison}: `, 'gm'))?.length === 2
          ? said
          : undefined;
      },
      { what: 'both projectors to stand still at it' },
    );
    expect(stuck.code).toBe(1);
    expect((await fetch(`${system.processes['projections']!.url}/readyz`)).status).toBe(503);
    // It may be there to hide something.
    expect(await call(['skip', poison], asProjections()).ended).toEqual({
      code: 1,
      output: expect.stringContaining('--unhide skips it all the same'),
    });
    const skipped = await call(['skip', poison, '--unhide'], asProjections(), WITH_NPM).ended;
    expect(skipped).toEqual({
      code: 0,
      output: expect.stringContaining(`past NeverDeclared of ${stream} at revision 0`),
    });
    await waitFor(async () => (await fetch(`${system.processes['projections']!.url}/readyz`)).ok, {
      what: 'them to go on',
    });
    const after = await status();
    expect([after.code, after.output]).toEqual([
      0,
      expect.stringContaining(`event skipped ${poison} (NeverDeclared of`),
    ]);
    expect(await call(['skip', poison], asProjections()).ended).toEqual({
      code: 1,
      output: `projections: no projector stands still at event ${poison}\n`,
    });
  }, 120_000);

  it('says what it does not understand, or cannot find', async () => {
    for (const args of [[], ['rebuild'], ['rebuild', 'everything'], ['skip', 'it'], ['status', 'now'], ['--what']]) {
      const { code, output } = await call(args, asProjections()).ended;
      expect([code, output]).toEqual([2, expect.stringContaining('projections status [--json]')]);
    }
    const given = await call(['rebuild', 'users', '--abort'], asProjections()).ended;
    expect(given).toEqual({ code: 1, output: 'projections: no rebuild of users is under way\n' });
    const none = await call(['status'], {}).ended;
    expect([none.code, none.output]).toEqual([1, expect.stringContaining('EVENTSTORE_URL: is required')]);
  }, 60_000);
});

it('finds the stores of standalone by DATA_DIR', async () => {
  const system = await startSystem('standalone');
  try {
    const device = await newListener(system.listeners);
    await device.subscribe('https://feeds.example/a.xml');
    const env = { DATA_DIR: system.env['DATA_DIR']! };
    for (const name of ['users', 'site']) {
      const { code, output } = await call(['rebuild', name], env, WITH_NPM).ended;
      expect([code, output]).toEqual([0, expect.stringContaining('switched over')]);
    }
    const { code, output } = await call(['status', '--json'], env, WITH_NPM).ended;
    expect(code).toBe(0);
    expect(JSON.parse(output)).toMatchObject({
      projectors: [{ projector: 'users', isRebuild: false }, { projector: 'site' }],
      interventions: [
        { projector: 'site', action: 'rebuilt' },
        { projector: 'users', action: 'rebuilt' },
      ],
    });
    expect((await device.get('/subscriptions')).body.subscriptions).toHaveLength(1);
  } finally {
    await system.stop();
  }
}, 240_000);
