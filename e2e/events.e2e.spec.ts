import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { waitFor } from '@balados/testing';
import { AddressInfo, createServer } from 'node:net';
import { base64, base64Url, Credentials, Device, login, register, request } from './support/client';
import { EventClient } from './support/events';
import { LONG, newSeed, oneOf, randomFrom, report, timed, within } from './support/limits';
import { Nginx, nginxOrNone } from './support/nginx';
import { waitUntilReady } from './support/services';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

const STREAMS_PER_LISTENER = 20;
const WRITES = LONG ? 600 : 40;
const feedOf = (n: number): string => `https://feeds.example/${n}.xml`;
const ITEM = 'episode-1,https://media.example/1.mp3';

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** What a listener has, as a device reads it once it was told that there is something to read. */
const READS: Record<string, (device: Device) => Promise<unknown>> = Object.fromEntries(
  Object.entries({
    subscriptions: '/subscriptions',
    plays: '/play?limit=100',
    saves: '/episodes/saved?limit=100',
    playlists: '/playlists',
    privacy: '/privacy',
  }).map(([kind, path]) => [
    kind,
    async (device: Device) => {
      const { status, body } = await device.get(path);
      if (status !== 200) throw new Error(`${path}: ${status}`);
      return body as unknown;
    },
  ]),
);

describe('changes, as they are told by two copies of the service behind one address', () => {
  let system: System;
  let nginx: Nginx | undefined;
  let folder: string;
  let copies: ServiceProcess[];
  /** Of nginx; without one, of each copy. */
  let doors: string[];
  let credentials: Credentials;
  const clients: EventClient[] = [];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'balados-events-'));
    system = await startSystem('services', { TRUSTED_PROXIES: '127.0.0.1' }, ['projections', 'command-api']);
    const second = new ServiceProcess('command-api-2', 'command-api/main', system.envOf('command-api', 2));
    system.processes['command-api-2'] = second;
    await second.start();
    await waitUntilReady(second.url);
    copies = [system.processes['command-api']!, second];
    doors = copies.map(({ url }) => url);
    if (!nginxOrNone()) return;
    const listen = `127.0.0.1:${await freePort()}`;
    const nobody = [await freePort()];
    nginx = await Nginx.start({
      folder,
      listen,
      playHost: 'play.localhost',
      servers: {
        'command-api': copies.map(({ port }) => port),
        'public-api': nobody,
        'rss-proxy': nobody,
        'play-gateway': nobody,
        jobs: nobody,
      },
    });
    doors = [`http://${listen}`];
  }, 120_000);
  beforeEach(async () => {
    credentials = await register(doors[0]!);
  });
  afterEach(async () => {
    await Promise.all(clients.splice(0).map((client) => client.stop()));
  });
  afterAll(async () => {
    await nginx?.stop();
    await system?.stop();
    rmSync(folder, { recursive: true, force: true });
  }, 120_000);

  const inTime = (seconds: number, body: () => Promise<void>) =>
    within(seconds, () => Object.values(system.processes), body);
  const follow = (device: Device, onEvent?: (event: string) => Promise<unknown> | void): EventClient => {
    const client = new EventClient(device.base, device.token, onEvent);
    clients.push(client);
    return client;
  };
  const connected = (client: EventClient) =>
    waitFor(() => client.sent.lastId !== '', { what: 'the stream to have begun' });
  const open = (device: Device, headers: Record<string, string> = {}, query = '') => {
    const ended = new AbortController();
    const asked = fetch(`${device.base}/api/v1/events${query}`, {
      headers: { authorization: `Bearer ${device.token}`, ...headers },
      signal: ended.signal,
    });
    return { asked, end: () => ended.abort() };
  };
  const reading = async (device: Device) => {
    const { asked, end } = open(device);
    const response = await asked;
    expect(response.status).toBe(200);
    let text = '';
    const ended = (async () => {
      for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) text += piece;
      return true;
    })();
    // Given up, it fails.
    ended.catch(() => undefined);
    await waitFor(() => text.includes('\nid: '), { what: 'the stream to begin' });
    return { text: () => text, ended, end };
  };
  /** The beginning of an answer, which then is given up. */
  const firstOf = async (device: Device, headers: Record<string, string>, query = ''): Promise<string> => {
    const { asked, end } = open(device, headers, query);
    const response = await asked;
    expect(response.status).toBe(200);
    let text = '';
    for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
      text += piece;
      if (/^id: .*\n(?:.+\n)*\n/m.test(text)) break;
    }
    end();
    return text;
  };

  it(
    'come to every other device, by kind, and say who did it',
    ...inTime(60, async () => {
      const phone = await login(doors[0]!, credentials, 'phone');
      // Where there is no address for both, the other copy is asked by name.
      const tablet = await login(doors.at(-1)!, credentials, 'tablet');
      const client = follow(tablet);
      await connected(client);
      const took: number[] = [];
      const told = async (kind: string, write: () => Promise<{ status: number }>): Promise<void> => {
        const before = client.heard.length;
        expect((await write()).status).toBe(200);
        const acknowledged = performance.now();
        await waitFor(() => client.heard.length > before, { what: `${kind} to be told` });
        expect(client.heard.slice(before).map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
          [kind, { device_id: 'phone' }],
        ]);
        took.push(client.heard[before]!.at - acknowledged);
      };
      for (let round = 0; round < 4; round += 1) {
        await told('subscriptions', () => phone.subscribe(feedOf(round)));
        await told('plays', () => phone.play(feedOf(1), ITEM, 10 + round));
        await told('saves', () => (round % 2 ? phone.unsave(ITEM, feedOf(1)) : phone.save(ITEM, feedOf(1))));
        await told('playlists', () => phone.send('POST', '/playlists', { name: `list ${round}` }));
        await told('privacy', () => phone.send('PUT', '/privacy', { privacy: round % 2 ? 'public' : 'private' }));
      }
      took.sort((a, b) => a - b);
      const at = (part: number) => Math.max(took[Math.floor(took.length * part)]!, 0).toFixed(1);
      report(`told ${at(0.5)} ms after the write was acknowledged (median of ${took.length}), at most ${at(0.99)} ms`);
    }),
  );

  it(
    'are missed by nobody, whatever breaks, and whichever copy is killed or stopped',
    ...inTime(LONG ? 400 : 110, async () => {
      const random = randomFrom(newSeed('events'));
      const phone = await login(doors[0]!, credentials, 'phone');
      const tablet = await login(doors.at(-1)!, credentials, 'tablet');
      const known: Record<string, unknown> = {};
      const client = follow(tablet, async (kind) => {
        expect(Object.keys(READS)).toContain(kind);
        // The copy that was asked may be ended meanwhile: a device asks again, and not for ever.
        known[kind] = await waitFor(() => READS[kind]!(tablet), { what: `an answer of ${kind}`, timeoutMs: 30_000 });
      });
      await connected(client);
      for (const [kind, read] of Object.entries(READS)) known[kind] = await read(tablet);
      /** Until it is acknowledged; all of these can be said twice. */
      const write = (send: () => Promise<{ status: number }>) =>
        waitFor(async () => (await send()).status === 200, { what: 'a write to be acknowledged', timeoutMs: 30_000 });
      const writes: (() => Promise<{ status: number }>)[] = [
        () => phone.subscribe(feedOf(Math.floor(random() * 9))),
        () => phone.unsubscribe(feedOf(Math.floor(random() * 9))),
        () => phone.play(feedOf(1), ITEM, Math.floor(random() * 1_000)),
        () => phone.save(ITEM, feedOf(1)),
        () => phone.unsave(ITEM, feedOf(1)),
        () => phone.send('POST', '/playlists', { id: randomUUID(), name: 'mine' }),
        () => phone.send('PUT', `/privacy`, { privacy: oneOf(random, ['public', 'private']), feed: base64(feedOf(2)) }),
        () =>
          phone.sync({
            subscriptions: [0, 1, 2].map((n) => ({
              rss_source_feed: base64(feedOf(n)),
              subscribed_at: new Date().toISOString(),
            })),
          }),
      ];
      const disasters: (() => Promise<unknown>)[] = [
        async () => {
          await copies[0]!.kill();
          return copies[0]!.start();
        },
        async () => {
          expect(await copies[1]!.stop()).toBe(0);
          return copies[1]!.start();
        },
      ];
      let disaster: Promise<unknown> = Promise.resolve();
      for (let written = 0; written < WRITES; written += 1) {
        if (nginx && written % 20 === 5) disaster = disaster.then(disasters[(written / 20) % 2 < 1 ? 0 : 1]!);
        if (random() < 0.15) client.break();
        await write(oneOf(random, writes));
      }
      await disaster;
      await waitFor(
        async () => {
          for (const [kind, read] of Object.entries(READS))
            expect([kind, known[kind]]).toEqual([kind, await read(phone)]);
          return true;
        },
        { what: 'the tablet to know what the phone did', timeoutMs: 30_000 },
      );
      expect(client.heard.map(({ event }) => event)).not.toContain('reset');
      report(`${WRITES} writes were told by ${client.heard.length} events on ${client.connections} connections`);
    }),
  );

  it(
    'are told no more to a session that was ended, wherever it was ended',
    ...inTime(60, async () => {
      const phone = await login(copies[0]!.url, credentials, 'phone');
      const tablet = await login(copies[1]!.url, credentials, 'tablet');
      const { text, ended, end } = await reading(tablet);
      const { tokens } = (await phone.get('/tokens')).body as { tokens: { id: string; name: string }[] };
      const { id } = tokens.find(({ name }) => name === 'the tablet')!;
      expect((await phone.send('DELETE', `/tokens/${id}`)).status).toBe(200);
      report(
        `a stream ended ${await timed('the stream to end', () => ended)} ms after its session was revoked elsewhere`,
      );
      expect(text()).toMatch(/^retry: 1000\n\nid: .+\n\nretry: \d+\n\n$/);
      end();
      expect((await tablet.get('/events')).body.code).toBe('revoked_session');
    }),
  );

  it(
    'end in order with their copy, and say when to come again',
    ...inTime(60, async () => {
      const { text, ended } = await reading(await login(copies[1]!.url, credentials));
      const stopped = copies[1]!.stop();
      expect(await ended).toBe(true);
      expect(text()).toMatch(/^retry: 1000\n\nid: .+\n\nretry: \d{1,4}\n\n$/);
      expect(await stopped).toBe(0);
      await copies[1]!.start();
      await waitUntilReady(copies[1]!.url);
    }),
  );

  // It takes as long as it takes.
  (LONG ? it : it.skip)(
    'live on in silence, with a sign of life',
    ...inTime(90, async () => {
      const { text, end } = await reading(await login(doors[0]!, credentials));
      await waitFor(() => /\n:\n\n:\n\n$/.test(text()), { what: 'two signs of life' });
      expect(text()).toMatch(/^retry: 1000\n\nid: .+\n\n:\n\n:\n\n$/);
      end();
    }),
  );

  it('can be gone on with from the token of a sync, and begin anew where nothing can be said', async () => {
    const device = await login(doors[0]!, credentials, 'phone');
    const { sync_token: token } = (await device.sync({})).body as { sync_token: string };
    await device.subscribe(feedOf(1));
    expect(await firstOf(device, {}, `?since=${token}`)).toMatch(/\nevent: subscriptions\n/);
    const parts = JSON.parse(Buffer.from(token, 'base64url').toString()) as object;
    for (const other of [{ store: randomUUID() }, { user: randomUUID() }, { subscriptions: 99 }]) {
      const id = base64Url(JSON.stringify({ ...parts, ...other }));
      expect(await firstOf(device, { 'last-event-id': id })).toMatch(/\nevent: reset\ndata: \{"device_id":null\}\n\n$/);
    }
    const reset = await firstOf(device, { 'last-event-id': 'nothing of ours' });
    const id = /^id: (.*)$/m.exec(reset)![1]!;
    // A header goes before what stands in the address.
    expect(await firstOf(device, { 'last-event-id': id }, '?since=nothing')).not.toContain('event:');
    expect((await device.get(`/events?since=${'x'.repeat(1_025)}`)).status).toBe(422);
  });

  it('are sent as they come, to pages of other sites too, and HEAD is answered', async () => {
    const device = await login(copies[0]!.url, credentials);
    const { asked, end } = open(device, { origin: 'https://app.example' });
    const { headers } = await asked;
    expect(Object.fromEntries(headers)).toMatchObject({
      'content-type': 'text/event-stream',
      'cache-control': 'private, no-store',
      'x-accel-buffering': 'no',
      'access-control-allow-origin': '*',
      'x-correlation-id': expect.any(String),
    });
    end();
    const head = await request(`${device.base}/api/v1/events`, { method: 'HEAD', token: device.token });
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream']);
    expect((await request(`${device.base}/api/v1/events`)).body.code).toBe('no_token');
  });

  it('are for so many devices of a listener, and for another when one has gone', async () => {
    const device = await login(copies[0]!.url, credentials);
    const streams = Array.from({ length: STREAMS_PER_LISTENER }, () => open(device));
    for (const { asked } of streams) expect((await asked).status).toBe(200);
    const tooMany = await device.get('/events');
    expect([tooMany.status, tooMany.body.code]).toEqual([429, 'too_many_requests']);
    expect(Number(tooMany.headers.get('retry-after'))).toBeGreaterThan(0);
    const metrics = await (await fetch(`${copies[0]!.url}/metrics`)).text();
    expect(metrics).toMatch(new RegExp(`^event_streams_open\\{.*\\} ${STREAMS_PER_LISTENER}$`, 'm'));
    streams[0]!.end();
    const another = await waitFor(
      async () => {
        const stream = open(device);
        return (await stream.asked).ok ? stream : undefined;
      },
      { what: 'room for another' },
    );
    for (const { end } of [...streams, another]) end();
  });
});
