import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { Agent } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Origin, startOrigin } from '@balados/feeds-fetch/testing';
import { waitFor } from '@balados/testing';
import { base64, base64Url, Device, newListener, request } from './support/client';
import { Door } from './support/door';
import { LONG, newSeed, randomFrom, report, within } from './support/limits';
import { follow, signedPath } from './support/links';
import { LogReader } from './support/log';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

const FEED = 'https://feeds.example/show.xml';
const item = (name: string | number): string => `guid-${name},https://media.example/${name}.mp3`;
const enclosure = (name: string | number): string => `https://media.example/${name}.mp3`;
const pathOf = (token: string, name: string | number): string => signedPath(token, FEED, item(name));

const newToken = async (device: Device): Promise<{ token: string; id: string }> =>
  (await device.send('POST', '/tokens', { name: 'links' })).body;

interface Listen {
  item: string;
  position: number;
  played: boolean;
  updatedAt: string;
  heardAt?: string;
}

/** The plays through links that a listener's stream holds. */
async function listens(log: LogReader, userId: string): Promise<Listen[]> {
  const events = await log.read(`listening-${userId}`);
  return events
    .filter(({ type, data }) => type === 'PlayRecorded' && (data as Listen).heardAt !== undefined)
    .map(({ data }) => data as Listen);
}

/** A feed on this machine, from which both systems may fetch. */
const XML = `<rss version="2.0"><channel><title>Show</title><item><guid>guid-fed</guid>
  <enclosure url="${enclosure('fed')}" type="audio/mpeg" length="1"/></item></channel></rss>`;
let origin: Origin;
beforeAll(async () => {
  origin = await startOrigin((_request, response) => response.writeHead(200).end(XML));
});
afterAll(() => origin?.close());
const feedsAllowed = (): Record<string, string> => ({ FEEDS_ALLOW_PRIVATE: `127.0.0.1:${origin.port}` });

/** The tests of every kind of system; `door` is where it takes play links. */
function behaves(running: () => { system: System; door: string; log: LogReader }): void {
  it('redirects, and is a listen that moves nothing', async () => {
    const { system, door, log } = running();
    const device = await newListener(system.listeners);
    const { token } = await newToken(device);
    await device.play(FEED, item('held'), 90.5, true);
    const before = (await device.get('/play')).body.play_statuses[0];
    expect(await follow(door, pathOf(token, 'new'))).toEqual({ status: 302, location: enclosure('new') });
    expect(await follow(door, pathOf(token, 'new'))).toEqual({ status: 302, location: enclosure('new') });
    expect(await follow(door, pathOf(token, 'held'))).toEqual({ status: 302, location: enclosure('held') });
    // The listener played the other one today already.
    await waitFor(async () => (await listens(log, device.userId)).length > 0, { what: 'the listen' });
    expect((await listens(log, device.userId)).map((listen) => listen.item)).toEqual([item('new')]);
    const { play_statuses: plays } = (await device.get('/play')).body;
    const undated = {
      rss_source_feed: base64(FEED),
      rss_source_item: base64(item('new')),
      position: 0,
      played: false,
      updated_at: '1970-01-01T00:00:00.000Z',
    };
    expect(plays).toHaveLength(2);
    expect(plays).toEqual(expect.arrayContaining([before, undated]));
    // A device whose clock is off may say again what it was told, and what one heard offline last year stands.
    const slow = { client_time: new Date(Date.now() - 600_000).toISOString() };
    const told = (await device.sync(slow)).body.data.play_statuses;
    expect(told).toContainEqual(undated);
    expect((await device.sync({ play_statuses: told, ...slow })).body.rejected).toEqual([]);
    const offline = { ...undated, position: 12, updated_at: '2025-01-01T00:00:00.000Z' };
    expect((await device.sync({ play_statuses: [offline] })).body.data.play_statuses).toContainEqual(offline);
  });

  it('need not be signed where the feed has the episode', async () => {
    const { system, door, log } = running();
    const device = await newListener(system.listeners);
    const { token } = await newToken(device);
    const unsigned = (name: string): string =>
      `/${token}/${base64Url(`http://127.0.0.1:${origin.port}/show.xml`)}/${base64Url(item(name))}.mp3`;
    expect(await follow(door, unsigned('fed'))).toEqual({ status: 302, location: enclosure('fed') });
    expect(await follow(door, unsigned('evil'))).toEqual({ status: 404, location: undefined });
    await waitFor(async () => (await listens(log, device.userId)).length > 0, { what: 'the listen' });
    expect((await listens(log, device.userId)).map((listen) => listen.item)).toEqual([item('fed')]);
  });
}

describe('a play link on standalone', () => {
  let system: System;
  let log: LogReader;

  beforeAll(async () => {
    system = await startSystem('standalone', feedsAllowed());
    log = new LogReader(system.eventStore);
  }, 120_000);
  afterAll(async () => {
    await log?.close();
    await system?.stop();
  }, 120_000);

  behaves(() => ({ system, door: system.listeners, log }));

  it('shows in the timeline when it was heard, although no device has dated it', async () => {
    const device = await newListener(system.listeners);
    const { token } = await newToken(device);
    await device.send('PUT', '/privacy', { privacy: 'public' });
    const before = Date.now();
    await follow(system.listeners, pathOf(token, 'shown'));
    const event = await waitFor(
      async () => {
        const { body } = await request(`${system.public}/api/v1/public/timeline?feed=${base64Url(FEED)}`);
        const { events } = body as { events: { rss_source_item: string; occurred_at: string; user_id: string }[] };
        return events.find((each) => each.rss_source_item === base64(item('shown')));
      },
      { what: 'the play in the timeline', timeoutMs: 20_000 },
    );
    expect(event).toMatchObject({ event_type: 'play', user_id: device.userId });
    expect(Date.parse(event.occurred_at)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(event.occurred_at)).toBeLessThanOrEqual(Date.now());
  }, 30_000);

  it('is known by its host alone', async () => {
    const { token } = await newToken(await newListener(system.listeners));
    expect((await follow(system.listeners, pathOf(token, 1), { host: 'PLAY.localhost' })).status).toBe(302);
    expect((await follow(system.listeners, pathOf(token, 1), { host: 'localhost:4000' })).status).toBe(404);
    expect((await follow(system.listeners, '/api/v1/account')).status).toBe(404);
  });
});

describe('a play link on six processes, whatever happens around the gateway', () => {
  let system: System;
  let log: LogReader;
  let gateway: ServiceProcess;
  let postgres: Door;
  let folder: string;
  let device: Device;
  let token: string;
  const processes = () => Object.values(system.processes);

  beforeAll(async () => {
    system = await startSystem('services', feedsAllowed(), ['projections', 'command-api', 'rss-proxy']);
    log = new LogReader(system.eventStore);
    const own = system.envOf('play-gateway');
    const database = new URL(own.USERS_DATABASE_URL!);
    postgres = await new Door({ host: database.hostname, port: Number(database.port) }).open();
    database.hostname = '127.0.0.1';
    database.port = String(postgres.port);
    folder = mkdtempSync(join(tmpdir(), 'balados-play-links-'));
    gateway = system.processes['play-gateway'] = new ServiceProcess('play-gateway', 'play-gateway/main', {
      ...own,
      USERS_DATABASE_URL: database.href,
      DATA_DIR: folder,
    });
    await gateway.start();
    device = await newListener(system.listeners);
    ({ token } = await newToken(device));
  }, 120_000);
  afterAll(async () => {
    await log?.close();
    await system?.stop();
    await postgres?.shut();
    if (folder) rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  behaves(() => ({ system, door: gateway.url, log }));

  const gauge = async (name: string): Promise<number> =>
    Number(new RegExp(`^${name}\\{.*\\} (\\d+)$`, 'm').exec(await (await fetch(`${gateway.url}/metrics`)).text())?.[1]);
  const delivered = () =>
    waitFor(async () => (await gauge('play_journal_plays')) === 0, { what: 'an empty journal', timeoutMs: 30_000 });

  it(
    'redirects while event store, Postgres and feeds are away, and each play is counted once when they are back',
    ...within(40, processes, async () => {
      const late = await newToken(device);
      const store = system.processes['eventstore']!;
      await store.kill();
      await postgres.shut();
      await system.processes['rss-proxy']!.kill();
      const names = Array.from({ length: 40 }, (_, index) => `away-${index}`);
      const startedAt = performance.now();
      const answers = await Promise.all(names.map((name) => follow(gateway.url, pathOf(token, name))));
      report(`40 plays redirected in ${Math.round(performance.now() - startedAt)} ms with nothing behind the gateway`);
      expect(answers).toEqual(names.map((name) => ({ status: 302, location: enclosure(name) })));
      const unsigned = `/${token}/${base64Url(FEED)}/${base64Url(item('unsigned'))}`;
      expect((await follow(gateway.url, unsigned)).status).toBe(503);
      expect((await fetch(`${gateway.url}/readyz`)).status).toBe(200);
      // It is revoked while nobody can tell, and judged when somebody can.
      expect((await device.send('DELETE', `/tokens/${late.id}`)).status).toBe(200);
      expect((await follow(gateway.url, pathOf(late.token, 'late'))).status).toBe(302);
      expect(await gauge('play_journal_plays')).toBe(41);

      // Nor does the end of a process lose them.
      expect(await gateway.stop()).toBe(0);
      const written = readdirSync(join(folder, 'plays')).map((name) =>
        readFileSync(join(folder, 'plays', name), 'utf8'),
      );
      for (const secret of [token, late.token]) expect(written.join() + gateway.lines.join()).not.toContain(secret);
      await gateway.start();
      expect(await gauge('play_journal_plays')).toBe(41);
      await store.start();
      await postgres.open();
      await delivered();
      const heard = (await listens(log, device.userId)).map((listen) => listen.item);
      expect(heard.sort()).toEqual(names.map(item).sort());
      // A repeat is one in this life, too.
      await follow(gateway.url, pathOf(token, 'away-0'));
      expect(await gauge('play_journal_plays')).toBe(0);
      expect(readdirSync(join(folder, 'plays')).filter((name) => /\.(?:plays|done)$/.test(name))).toEqual([]);
    }),
  );

  it('answers a burst of links, and then delivers each of them once', async () => {
    const listeners = await Promise.all([1, 2, 3].map(() => newListener(system.listeners)));
    const tokens = await Promise.all(listeners.map(async (listener) => (await newToken(listener)).token));
    const agent = new Agent({ keepAlive: true, maxSockets: 32 });
    const names = Array.from({ length: 600 }, (_, index) => `burst-${index}`);
    const answers = names.map((name, index) => follow(gateway.url, pathOf(tokens[index % 3]!, name), { agent }));
    expect(await Promise.all(answers)).toEqual(names.map((name) => ({ status: 302, location: enclosure(name) })));
    agent.destroy();
    await delivered();
    const heard = await Promise.all(listeners.map(({ userId }) => listens(log, userId)));
    for (const [own, items] of heard.entries())
      expect(items.map((listen) => listen.item).sort()).toEqual(
        names
          .filter((_, index) => index % 3 === own)
          .map(item)
          .sort(),
      );
  });

  it(
    'loses no play and counts none twice, however often it is killed',
    ...within(LONG ? 600 : 120, processes, async () => {
      const random = randomFrom(newSeed('play-links'));
      const rounds = LONG ? 20 : 3;
      const listeners = await Promise.all([1, 2, 3, 4].map(() => newListener(system.listeners)));
      const tokens = await Promise.all(listeners.map(async (listener) => (await newToken(listener)).token));
      const redirected = new Set<string>();
      let asked = 0;
      for (let round = 0; round < rounds; round += 1) {
        let alive = true;
        const worker = async (): Promise<void> => {
          const agent = new Agent({ keepAlive: true });
          while (alive) {
            const name = `killed-${(asked += 1)}`;
            const own = tokens[asked % tokens.length]!;
            const answer = await follow(gateway.url, pathOf(own, name), { agent }).catch(() => undefined);
            if (answer?.status === 302) redirected.add(item(name));
            else if (answer) throw new Error(`${name} is answered ${answer.status}`);
          }
          agent.destroy();
        };
        const workers = Promise.all(Array.from({ length: 8 }, worker));
        const until = redirected.size + 20 + Math.floor(random() * 100);
        await waitFor(() => redirected.size >= until, { what: `${until} redirects` });
        await gateway.kill();
        alive = false;
        await workers;
        await gateway.start();
      }
      await delivered();
      const ofEach = await Promise.all(listeners.map(({ userId }) => listens(log, userId)));
      const heard = ofEach.flat().map((listen) => listen.item);
      report(`${rounds} times killed: ${asked} asked, ${redirected.size} redirected, ${heard.length} counted`);
      expect(heard.length).toBe(new Set(heard).size);
      for (const each of redirected) expect(heard).toContain(each);
      expect(heard.length).toBeLessThanOrEqual(asked);
    }),
  );
});
