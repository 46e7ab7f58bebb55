import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { Origin, startOrigin } from '@balados/feeds-fetch/testing';
import { Collector, startCollector, ToldSpan } from '@balados/platform-tracing/testing';
import { waitFor } from '@balados/testing';
import { sign } from 'jsonwebtoken';
import { Client } from 'pg';
import { base64, base64Url, Device, login, register, request } from './support/client';
import { follow, signedPath } from './support/links';
import { LogReader } from './support/log';
import { SERVICES } from './support/logins';
import { LINK_KEY, startSystem, System } from './support/system';

/* What processes tell those who run them: whole traces, and neither in these nor in any log what could let somebody in. */

const ITEM = 'guid-1,https://media.example/1.mp3';
const XML = `<rss version="2.0"><channel><title>Show</title><item><guid>guid-1</guid>
  <enclosure url="https://media.example/1.mp3" type="audio/mpeg" length="1"/></item></channel></rss>`;

let origin: Origin;
let collector: Collector;
let system: System;
let log: LogReader;
let device: Device;
let token: string;
/** What nobody may read anywhere. */
const secrets: string[] = [LINK_KEY.toString('base64url')];
const secret = (text: string): string => {
  secrets.push(text);
  return text;
};
let isStopped = false;
const stop = async (): Promise<void> => {
  if (isStopped) return;
  isStopped = true;
  await log?.close();
  await system?.stop();
};
const feed = (name = 'show.xml'): string => `http://127.0.0.1:${origin.port}/${name}`;

beforeAll(async () => {
  collector = await startCollector();
  origin = await startOrigin(({ url, headers }, response) => {
    if (url!.startsWith('/broken')) return response.writeHead(500).end();
    if (url!.startsWith('/private') && !headers.authorization) return response.writeHead(401).end();
    return response.end(url!.startsWith('/nothing') ? 'no feed' : XML);
  });
  system = await startSystem('services', {
    LOG_LEVEL: 'trace',
    FEEDS_ALLOW_PRIVATE: `127.0.0.1:${origin.port}`,
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_BSP_SCHEDULE_DELAY: '100',
  });
  log = new LogReader(system.eventStore);
  for (const service of SERVICES)
    for (const value of Object.values(system.envOf(service)))
      if (value.startsWith('postgres:')) secret(new URL(value).password);
  const credentials = await register(system.listeners);
  secret(credentials.password);
  device = await login(system.listeners, credentials);
  secret(device.token);
  secret(device.refreshToken);
  token = secret((await device.send('POST', '/tokens', { name: 'links' })).body.token);
}, 120_000);
afterAll(async () => {
  await stop();
  await origin?.close();
  await collector?.close();
}, 120_000);

/** A PUT whose body comes when the service has seen the rest of it. @returns the status */
const sendLate = (url: string, headers: Record<string, string>, body: string): Promise<number> =>
  new Promise((resolve, reject) => {
    const sent = httpRequest(url, { method: 'PUT', headers: { ...headers, expect: '100-continue' } }, (answer) =>
      answer.resume().once('end', () => resolve(answer.statusCode!)),
    );
    sent.once('error', reject).once('continue', () => sent.end(body));
    sent.flushHeaders();
  });

describe('the trace of a request', () => {
  const newTrace = (isSampled = true) => {
    const [traceId, spanId] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')];
    return { traceId, spanId, headers: { traceparent: `00-${traceId}-${spanId}-0${isSampled ? 1 : 0}` } };
  };
  const spansOf = (traceId: string) => collector.spans.filter((span) => span.traceId === traceId);
  /** `service: name`, from a span up to the first one that nobody told. */
  function upFrom(span: ToldSpan): string[] {
    const parent = collector.spans.find(({ spanId }) => spanId === span.parentSpanId);
    return [`${span.service}: ${span.name}`, ...(parent ? upFrom(parent) : [span.parentSpanId ?? ''])];
  }
  const told = (traceId: string, name: string) =>
    waitFor(() => spansOf(traceId).find((span) => span.name === name), {
      what: `${name} to be told`,
      timeoutMs: 20_000,
    });

  it('goes from a play link by the feed, the journal and the log to the tables: three processes', async () => {
    const { traceId, spanId, headers } = newTrace();
    const path = `/${token}/${base64Url(feed())}/${base64Url(ITEM)}.mp3`;
    const door = system.processes['play-gateway']!.url;
    expect(await follow(door, path, { headers })).toMatchObject({ status: 302 });
    const link = ['play-gateway: GET', spanId];
    const delivered = ['play-gateway: deliver play', ...link];
    expect(upFrom(await told(traceId, 'project users'))).toEqual(['projections: project users', ...delivered]);
    expect(upFrom(await told(traceId, 'project site'))).toEqual(['projections: project site', ...delivered]);
    expect(upFrom(await told(traceId, 'feed'))).toEqual(['rss-proxy: feed', ...link]);
    const append = await told(traceId, 'append');
    expect(upFrom(append)).toEqual(['play-gateway: append', 'play-gateway: command RecordListen', ...delivered]);
    expect(append.attributes).toContainEqual({ key: 'balados.category', value: { stringValue: 'listening' } });
    expect(new Set(spansOf(traceId).map(({ service }) => service))).toEqual(
      new Set(['play-gateway', 'rss-proxy', 'projections']),
    );
  });

  it('goes from a write by command and append to the tables, and the event says where it goes on', async () => {
    const { traceId, spanId, headers } = newTrace();
    const url = `${system.listeners}/api/v1/play/${base64Url(ITEM)}/position?feed=${base64Url(feed())}`;
    const sent = {
      ...headers,
      authorization: `Bearer ${device.token}`,
      'content-type': 'application/json',
      'x-correlation-id': 'request-of-the-test',
    };
    const status = await sendLate(url, sent, JSON.stringify({ position: 7 }));
    expect(status).toBe(200);
    const [route, appended] = ['command-api: PUT /api/v1/play/:item/position', 'command-api: append'];
    expect(upFrom(await told(traceId, 'project users'))).toEqual([
      'projections: project users',
      appended,
      'command-api: command UpdatePosition',
      route,
      spanId,
    ]);
    const [server] = spansOf(traceId).filter(({ parentSpanId }) => parentSpanId === spanId);
    expect(server!.attributes).toEqual(
      expect.arrayContaining([
        { key: 'http.response.status_code', value: { intValue: 200 } },
        { key: 'balados.correlation_id', value: { stringValue: 'request-of-the-test' } },
      ]),
    );
    const event = (await log.read(`listening-${device.userId}`)).at(-1)!;
    const append = await told(traceId, 'append');
    expect(event.metadata).toMatchObject({ traceparent: `00-${traceId}-${append.spanId}-01` });
  });

  it('is told of public reads, and of nothing that the caller does not want told', async () => {
    const [unwatched, watched] = [newTrace(false), newTrace()];
    for (const { headers } of [unwatched, watched])
      expect((await request(`${system.public}/api/v1/public/timeline`, { headers })).status).toBe(200);
    const read = await told(watched.traceId, 'GET /api/v1/public/timeline');
    expect([read.service, read.status.code ?? 0]).toEqual(['public-api', 0]);
    expect(spansOf(unwatched.traceId)).toEqual([]);
  });
});

it('nothing that could let somebody in, or says what somebody hears in private, is told by any process', async () => {
  const api = `${system.listeners}/api/v1`;
  const password = secret(randomBytes(12).toString('hex'));
  const secretFeed = `${feed('private.xml').replace('//', `//ada:${password}@`)}?key=${secret(randomBytes(8).toString('hex'))}`;
  secret(base64Url(secretFeed));
  secret(base64(secretFeed));
  const wrong = secret(randomBytes(12).toString('hex'));
  const { username } = (await device.get('/account')).body.account;
  expect(
    (await request(`${api}/auth/login`, { method: 'POST', body: { username, password: wrong, device_id: 'x' } }))
      .status,
  ).toBe(401);
  await request(`${api}/accounts?password=${wrong}`, { method: 'POST', body: `{"password": "${wrong}", ` });
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
  const pem = privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  secret(pem.split('\n')[3]!);
  const refused = await device.send('POST', '/keys', { name: 'own', public_key: pem });
  expect(refused.status).toBe(422);
  const { kid } = (
    await device.send('POST', '/keys', { name: 'own', public_key: publicKey.export({ type: 'spki', format: 'pem' }) })
  ).body;
  const signed = secret(
    sign({ sub: device.userId, jti: 'one' }, pem, { algorithm: 'RS256', keyid: kid, expiresIn: '1h' }),
  );
  expect((await request(`${api}/play`, { token: signed })).status).toBe(200);
  expect((await request(`${api}/play`, { token: `${signed}x` })).status).toBe(401);

  const rss = `${system.feeds}/api/v1/rss`;
  for (const each of [secretFeed, `${secretFeed}&broken`, feed('broken.xml'), feed('nothing.xml')]) {
    await device.subscribe(each);
    await device.play(each, ITEM, 1);
    await fetch(`${rss}/proxy/${base64Url(each)}`);
    await fetch(`${rss}/proxy/${base64Url(each)}/${base64Url(ITEM)}`);
  }
  const door = system.processes['play-gateway']!.url;
  expect((await follow(door, signedPath(token, secretFeed, ITEM))).status).toBe(302);
  await follow(door, `/${token}/${base64Url(feed('broken.xml'))}/${base64Url(ITEM)}`);
  await follow(door, `/${token}/x/y/z`);
  await waitFor(
    async () => (await fetch(`${rss}/user/${token}/subscriptions`)).text().then((text) => text.includes('Show')),
    {
      what: 'the personal feed',
    },
  );
  expect((await fetch(`${rss}/user/${token}x/subscriptions`)).status).toBe(401);
  expect((await device.get('/account/export')).status).toBe(200);

  // What fails is logged: the stores go away for a moment.
  const client = new Client({ connectionString: system.database });
  await client.connect();
  await client.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'balados %'`);
  await client.end();
  const store = system.processes['eventstore']!;
  await store.kill();
  const meanwhile = [
    device.position(ITEM, 9, secretFeed),
    follow(door, signedPath(token, secretFeed, `other-${ITEM}`)),
    fetch(`${rss}/user/${token}/subscriptions`),
  ];
  await store.start();
  await Promise.all(meanwhile);
  await waitFor(async () => (await device.position(ITEM, 10, secretFeed)).status === 200, { what: 'a write' });
  expect((await device.send('DELETE', '/history')).status).toBe(202);
  const refreshed = await request(`${api}/auth/refresh`, {
    method: 'POST',
    body: { refresh_token: device.refreshToken },
  });
  secret(refreshed.body.access_token);
  secret(refreshed.body.refresh_token);
  await stop();

  const lines = Object.values(system.processes).flatMap(({ name, lines: all }) => all.map((line) => `${name} ${line}`));
  for (const { lines: all } of Object.values(system.processes)) expect(all.length).toBeLessThan(5_000);
  expect(lines.filter((line) => line.includes('"level":"warn"')).length).toBeGreaterThan(0);
  expect(collector.spans.length).toBeGreaterThan(50);
  for (const each of secrets) {
    expect(each.length).toBeGreaterThan(8);
    expect(lines.filter((line) => line.includes(each))).toEqual([]);
    expect(collector.texts.filter((text) => text.includes(each))).toEqual([]);
  }
  for (const own of [device.userId, username, '/private.xml', base64Url(feed())])
    expect(collector.texts.filter((text) => text.includes(own))).toEqual([]);
}, 120_000);
