import { generateKeyPairSync, randomBytes, randomUUID } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { APP_ROUTES, LOGIN_ROUTES, undocumented } from './support/app-routes';
import { base64, Device, login, register, request } from './support/client';
import { expectConformance, OpenApi } from './support/conformance';
import { EventClient } from './support/events';
import { Held, heldOf, untilHeld } from './support/held';
import { LogReader } from './support/log';
import { basicOf, Me, Probe, PROBES, probesOfApp, Target } from './support/probes';
import { ServiceProcess } from './support/service-process';
import { KINDS, startSystem, System } from './support/system';
import { CountedWay, HTTP2, POSTGRES } from './support/traffic';

/** How often it is tried that as much work is done, whomever it is about. */
const ATTEMPTS = 3;

/** Routes that are nobody's. What is of the public is what listeners published: another test's. */
const isNobodys = (path: string): boolean => /^\/(?:\.well-known|api\/v1\/public|api\/v1\/rss\/proxy)\//.test(path);

const publicPem = (): string =>
  generateKeyPairSync('rsa', { modulusLength: 2_048 }).publicKey.export({ type: 'spki', format: 'pem' }) as string;

/** All of an answer; of one that goes on as long as one likes, what it begins with. */
async function textOf(response: Response): Promise<string> {
  if (!response.headers.get('content-type')?.startsWith('text/event-stream')) return response.text();
  let text = '';
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream()))
    if (/^id: .*\n(?:.+\n)*\n/m.test((text += piece))) break;
  return text;
}

describe.each(KINDS)('listeners of one another on %s', (kind) => {
  let system: System;
  let api: string;
  let log: LogReader;
  let client: Client;
  /** To the stores; none where they are standalone's own. */
  let ways: CountedWay[] = [];
  let owner: Target;
  let nobody: Target;
  let ownersDevice: Device;
  let before: Held;
  let notDocumented: string[];
  /** Told of whatever changes of the owner's. */
  let ownersEvents: EventClient;

  beforeAll(async () => {
    // Which routes a service has it says at debug.
    system = await startSystem(kind, { LOG_LEVEL: 'debug' }, kind === 'services' ? ['projections'] : undefined);
    let service = system.processes['standalone']!;
    api = system.listeners;
    if (kind === 'services') {
      const [sql, store] = [
        await CountedWay.to(new URL(system.database), POSTGRES),
        await CountedWay.to(new URL(system.eventStore), HTTP2),
      ];
      ways = [sql, store];
      const own = system.envOf('command-api');
      const env = {
        ...own,
        USERS_DATABASE_URL: sql.by(own.USERS_DATABASE_URL!),
        EVENTSTORE_URL: store.by(system.eventStore),
      };
      service = new ServiceProcess('command-api', 'command-api/main', env);
      system.processes['command-api'] = service;
      api = (await service.start()).url;
    }
    notDocumented = undocumented(service, (await request(`${api}/api/openapi.json`)).body as OpenApi);
    log = new LogReader(system.eventStore);
    client = new Client({ connectionString: system.database });
    await client.connect();
    const { target, device } = await listenerWithEverything();
    [owner, ownersDevice, nobody] = [target, device, await nowhere(target)];
    await untilHeld(client, log, [owner.userId]);
    before = await heldOf(client, log, owner.userId);
    ownersEvents = new EventClient(api, ownersDevice.token);
    await waitFor(() => ownersEvents.sent.lastId !== '', { what: 'the owner to be told' });
  }, 120_000);
  afterAll(async () => {
    await ownersEvents?.stop();
    await client?.end();
    await log?.close();
    await system?.stop();
    for (const way of ways) await way.close();
  }, 120_000);

  async function newMe(): Promise<Me> {
    const credentials = await register(api);
    const device = await login(api, credentials);
    const made = await device.send('POST', '/playlists', { name: 'Evening' });
    await untilHeld(client, log, [device.userId]);
    return { credentials, device, playlistId: made.body.data.id };
  }

  async function listenerWithEverything(): Promise<{ target: Target; device: Device }> {
    const credentials = await register(api);
    const device = await login(api, credentials);
    const [feed, item] = ['https://somebody.example/feed.xml', 'guid-of-somebody,https://media.example/1.mp3'];
    const idempotencyKey = randomUUID();
    const post = async (path: string, body: object): Promise<never> => {
      const headers = { 'idempotency-key': idempotencyKey };
      const answer = await request(`${api}/api/v1${path}`, { method: 'POST', body, token: device.token, headers });
      expect([path, answer.status]).toEqual([path, 200]);
      return answer.body as never;
    };
    await device.subscribe(feed);
    await device.play(feed, item, 90.5);
    await device.save(item, feed);
    await device.share(item, feed);
    const { data: playlist } = await post('/playlists', { name: 'Evening' });
    const { data: added } = await post(`/playlists/${(playlist as { id: string }).id}/items`, {
      rss_source_feed: base64(feed),
      rss_source_item: base64(item),
    });
    for (const scope of [{}, { feed: base64(feed) }, { feed: base64(feed), item: base64(item) }])
      expect((await device.send('PUT', '/privacy', { privacy: 'anonymous', ...scope })).status).toBe(200);
    const publicKey = publicPem();
    const { kid } = await post('/keys', { name: 'mine', public_key: publicKey });
    const { id: tokenId, token: personalToken } = await post('/tokens', { name: 'mine' });
    const { tokens } = (await device.get('/tokens')).body as { tokens: { id: string; kind: string }[] };
    const [guid, episode] = item.split(',');
    const deviceId = 'phone-of-somebody';
    const acted = await fetch(`${api}/api/2/episodes/${credentials.username}.json`, {
      method: 'POST',
      headers: { authorization: basicOf(credentials) },
      body: JSON.stringify([{ podcast: feed, episode, guid, device: deviceId, action: 'download' }]),
    });
    expect(acted.status).toBe(200);
    const target: Target = {
      ...credentials,
      userId: device.userId,
      feed,
      item,
      playlistId: (playlist as { id: string }).id,
      itemId: (added as { id: string }).id,
      sessionId: tokens.find((each) => each.kind === 'session')!.id,
      tokenId,
      kid,
      publicKey,
      syncToken: (await device.sync({})).body.sync_token,
      idempotencyKey,
      personalToken,
      accessToken: device.token,
      deviceId,
    };
    return { target, device };
  }

  /** As `target`, and there is none of it. */
  async function nowhere({ syncToken, accessToken, item, feed, deviceId }: Target): Promise<Target> {
    const userId = randomUUID();
    const token = JSON.parse(Buffer.from(syncToken, 'base64url').toString()) as object;
    return {
      userId,
      username: `listener-${randomBytes(6).toString('hex')}`,
      password: randomBytes(12).toString('hex'),
      feed: feed.replace('somebody', 'noneatal'),
      item: item.replace('somebody', 'noneatal'),
      deviceId: deviceId.replace('somebody', 'noneatal'),
      playlistId: randomUUID(),
      itemId: randomUUID(),
      sessionId: randomUUID(),
      tokenId: randomUUID(),
      kid: randomUUID(),
      publicKey: publicPem(),
      syncToken: Buffer.from(JSON.stringify({ ...token, user: userId })).toString('base64url'),
      idempotencyKey: randomUUID(),
      personalToken: randomBytes(32).toString('base64url'),
      accessToken: randomBytes(accessToken.length).toString('base64url').slice(0, accessToken.length),
    };
  }

  /** What was answered, without what names the request or the one who asks, and how much the stores were asked for it. */
  async function answers(probe: Probe, target: Target, me: Me): Promise<{ told: string[]; work: number[][] }> {
    const [told, work]: [string[], number[][]] = [[], []];
    // So that it is known who asks.
    await me.device.get('/account');
    for (const { method, path, body, headers, isOfApp } of probe(target, me)) {
      const counts = ways.map(({ asked }) => asked);
      const url = `${api}${isOfApp ? '' : '/api/v1'}${path}`;
      const response = await fetch(url, {
        method,
        headers: {
          ...(!isOfApp && { authorization: `Bearer ${me.device.token}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        body: body === undefined || typeof body === 'string' ? body : JSON.stringify(body),
      });
      const text = await textOf(response);
      work.push(ways.map(({ asked }, index) => asked - counts[index]!));
      await expectConformance(url, method, {
        ...response,
        status: response.status,
        headers: response.headers,
        body: response.headers.get('content-type')?.includes('json') ? JSON.parse(text) : text,
      });
      const own = ['date', 'x-correlation-id'];
      const answered = [...response.headers].filter(([name]) => !own.includes(name));
      told.push(masked(`${method} ${response.status}\n${answered.join('\n')}\n\n${text}`, target, me));
    }
    return { told, work };
  }

  function masked(text: string, target: Target, me: Me): string {
    const [guid] = target.item.split(',') as [string];
    const secrets = Object.entries({ ...target, guid, mine: me.credentials.username }).flatMap(([name, value]) => [
      [name, value],
      [name, base64(value)],
      [name, JSON.stringify(value).slice(1, -1)],
    ]);
    for (const [name, value] of secrets) text = text.replaceAll(value!, `<${name}>`);
    return text
      .replace(/(?:"sync_token":"|^id: )([\w-]+)"?/m, (_, token: string) => Buffer.from(token, 'base64url').toString())
      .replace(/[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}/g, '<uuid>')
      .replace(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '<time>')
      .replace(/(?<=sessionid=)[\w.-]+|(?<="timestamp":)\d+/g, '<now>')
      .replace(/"listener-[\da-f]{12}"/g, '<username>')
      .replace(/"token":"[\w-]{43}"/g, '<token>');
  }

  const ownersReads = async (): Promise<unknown[]> => {
    const read: unknown[] = [];
    for (const path of [
      '/account',
      '/subscriptions',
      '/play',
      '/episodes/saved',
      '/playlists',
      '/privacy',
      '/tokens',
      '/keys',
    ])
      read.push(
        JSON.parse(JSON.stringify((await ownersDevice.get(path)).body), (key, value) =>
          key === 'last_used_at' ? null : value,
        ),
      );
    read.push((await ownersDevice.sync({ since: owner.syncToken })).body);
    for (const path of ['/api/2/devices/', '/api/2/episodes/', '/subscriptions/']) {
      const answer = await fetch(`${api}${path}${owner.username}.json`, { headers: { authorization: basicOf(owner) } });
      expect(answer.status).toBe(200);
      const told = (await answer.json()) as object;
      read.push('timestamp' in told ? { ...told, timestamp: null } : told);
    }
    return read;
  };

  it('are tried on every route that is a listener’s', async () => {
    const { paths } = (await request(`${api}/api/openapi.json`)).body as OpenApi;
    const documented = Object.entries(paths)
      .filter(([path]) => !isNobodys(path))
      .flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method} ${path.replace('/api/v1', '')}`));
    expect(Object.keys(PROBES).sort()).toEqual(documented.sort());
  });

  it.each(Object.entries(PROBES))('are to %s as if they never were', async (_route, probe) => {
    const [readBefore, asking] = [await ownersReads(), [] as string[]];
    // Who asks is asked of Postgres again every four seconds, now and then in the middle of it: what differs by whom it is about differs each time.
    for (let attempt = 1; ; attempt += 1) {
      const [one, other] = [await newMe(), await newMe()];
      asking.push(one.device.userId, other.device.userId);
      const [ofOwner, ofNobody] = [await answers(probe, owner, one), await answers(probe, nobody, other)];
      expect(ofOwner.told).toEqual(ofNobody.told);
      if (attempt < ATTEMPTS && !isDeepStrictEqual(ofOwner.work, ofNobody.work)) continue;
      expect(ofOwner.work).toEqual(ofNobody.work);
      break;
    }
    for (const way of ways) expect(way.asked).toBeGreaterThan(0);
    await untilHeld(client, log, asking);
    expect(await heldOf(client, log, owner.userId)).toEqual(before);
    expect(await ownersReads()).toEqual(readBefore);
    expect(ownersEvents.heard).toEqual([]);
  });

  it('are to podcast apps as if they never were, on every route of theirs that there is', async () => {
    expect(notDocumented.sort()).toEqual(Object.keys({ ...APP_ROUTES, ...LOGIN_ROUTES }).sort());
    const [one, other] = [await newMe(), await newMe()];
    const readBefore = await ownersReads();
    // Suggestions are of what is public, less what who asks has: that nothing else shows there is held where podcast apps are.
    for (const route of Object.keys(APP_ROUTES).filter((each) => !each.includes('suggestions'))) {
      const probe = probesOfApp(route);
      const [ofOwner, ofNobody] = [await answers(probe, owner, one), await answers(probe, nobody, other)];
      expect([route, ofOwner.told]).toEqual([route, ofNobody.told]);
    }
    await untilHeld(client, log, [one.device.userId, other.device.userId]);
    expect(await heldOf(client, log, owner.userId)).toEqual(before);
    expect(await ownersReads()).toEqual(readBefore);
    expect(ownersEvents.heard).toEqual([]);
  });

  it('learn of a name or a key for an account that is taken, and nothing of whose it is', async () => {
    const headers = { 'idempotency-key': randomUUID() };
    const create = (body: object, more = {}) =>
      request(`${api}/api/v1/accounts`, { method: 'POST', body, headers: { ...headers, ...more } });
    const made = await create({ username: `first-${randomUUID()}`, password: 'a long sentence of mine' });
    const guessed = await create({ username: made.body.username, password: 'another long sentence' });
    expect(guessed).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    const taken = await create(
      { username: owner.username, password: 'another long sentence' },
      { 'idempotency-key': randomUUID() },
    );
    expect(taken).toMatchObject({ status: 409, body: { code: 'username_taken' } });
    for (const { body } of [guessed, taken])
      for (const id of [made.body.user_id, owner.userId]) expect(JSON.stringify(body)).not.toContain(id);
  });
});
