import { request as httpRequest } from 'node:http';
import { Answer, Device, login, newListener, register, request } from './support/client';
import { OpenApi } from './support/conformance';
import { newSeed, oneOf, randomFrom } from './support/limits';
import { KINDS, startSystem, System } from './support/system';

const OPML = 'text/x-opml';
const BODY_MAX_BYTES = 4_194_304;
const holding = (outlines: string): string => `<opml version="2.0"><head/><body>${outlines}</body></opml>`;
const outline = (url: string): string => `<outline type="rss" text="a podcast" xmlUrl="${url}"/>\n`;
const feedOf = (n: number): string => `https://feeds.example/${n}.xml`;
const many = (count: number): string => holding(Array.from({ length: count }, (_, n) => outline(feedOf(n))).join(''));

describe.each(KINDS)('OPML on %s', (kind) => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api']);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  const send = ({ base, token }: Device, body: string, type = OPML): Promise<Answer> =>
    request(`${base}/api/v1/opml`, { method: 'POST', token, body, headers: { 'content-type': type } });
  const feedsOf = async (device: Device): Promise<string[]> => {
    const { subscriptions } = (await device.get('/subscriptions')).body as {
      subscriptions: { rss_source_feed: string }[];
    };
    return subscriptions.map(({ rss_source_feed }) => Buffer.from(rss_source_feed, 'base64').toString());
  };

  it('goes out of one account and into another, and both have the same', async () => {
    const random = randomFrom(newSeed('opml'));
    const letters = ['a', 'Z', '&', '<', '>', '"', "'", ';', '?', '=', 'é', '🎧', ']]>', '&amp;', '%20', '--', ' '];
    const word = (): string =>
      Array.from({ length: 1 + Math.floor(random() * 12) }, () => oneOf(random, letters)).join('');
    for (let round = 0; round < 3; round += 1) {
      const [one, other] = [await newListener(system.listeners), await newListener(system.listeners)];
      const feeds = [...new Set(Array.from({ length: 20 }, () => `https://feeds.example/x${word()}x`))];
      for (const feed of feeds) expect((await one.subscribe(feed)).status).toBe(200);
      await one.unsubscribe(feeds.pop()!);
      const { status, headers, body } = await one.get('/opml');
      expect([status, headers.get('content-type'), headers.get('cache-control')]).toEqual([
        200,
        'text/x-opml; charset=utf-8',
        'private, no-store',
      ]);
      expect(headers.get('content-disposition')).toBe('attachment; filename="balados-subscriptions.opml"');
      expect((await send(other, body)).body).toEqual({
        status: 'success',
        data: { imported: feeds.length, already: 0, rejected: [] },
      });
      expect((await feedsOf(other)).sort()).toEqual((await feedsOf(one)).sort());
      expect((await feedsOf(one)).sort()).toEqual(feeds.sort());
    }
  });

  it('comes in once, is told to every device, and what could not be taken is named', async () => {
    const credentials = await register(system.listeners);
    const [phone, tablet] = [
      await login(system.listeners, credentials),
      await login(system.listeners, credentials, 'tablet'),
    ];
    const { sync_token: since } = (await tablet.sync({})).body;
    await phone.subscribe(feedOf(1));
    const file = holding(
      `\n<outline text="folder">${outline(feedOf(1))}${outline(feedOf(2))}${outline('HTTPS://Feeds.Example:443/2.xml#top')}
      <outline type="rss" title="Old" xmlUrl="itpc://feeds.example/3.xml"/><outline type="rss"/></outline>${outline(feedOf(4))}`,
    );
    const rejected = [
      { line: 6, url: 'itpc://feeds.example/3.xml', title: 'Old', code: 'invalid_feed', message: expect.any(String) },
      { line: 6, url: '', title: null, code: 'invalid_feed', message: expect.any(String) },
    ];
    const first = await send(phone, file);
    expect([first.status, first.body.data]).toEqual([200, { imported: 2, already: 2, rejected }]);
    const { data } = (await tablet.sync({ since })).body as { data: { subscriptions: object[] } };
    expect(data.subscriptions).toHaveLength(3);
    const again = await send(phone, file, 'application/xml; charset=utf-8');
    expect([again.status, again.body.data]).toEqual([200, { imported: 0, already: 4, rejected }]);
    // As it is asked for by hand: what was ended is begun again.
    await tablet.unsubscribe(feedOf(2));
    expect((await send(phone, file, 'text/xml')).body.data).toMatchObject({ imported: 1, already: 3 });
    expect(await feedsOf(tablet)).toHaveLength(3);
  });

  it('may hold 5,000 podcasts', async () => {
    const device = await newListener(system.listeners);
    expect((await send(device, many(5_000))).body.data).toEqual({ imported: 5_000, already: 0, rejected: [] });
    expect((await send(device, many(5_000))).body.data).toEqual({ imported: 0, already: 5_000, rejected: [] });
    expect(await feedsOf(device)).toHaveLength(5_000);
  });

  it('is refused with a reason, and a place where there is one', async () => {
    const device = await newListener(system.listeners);
    for (const [body, type, status, told] of [
      ['<opml>\n<body>', OPML, 400, { code: 'malformed', line: 2, column: 6 }],
      ['', OPML, 422, { code: 'not_opml' }],
      ['<rss/>', OPML, 422, { code: 'not_opml' }],
      [`<!DOCTYPE opml [<!ENTITY a "b">]>${many(1)}`, OPML, 422, { code: 'not_opml', line: 1 }],
      [holding('<outline>'.repeat(40)), OPML, 422, { code: 'opml_too_large' }],
      [many(1), 'application/octet-stream', 415, { code: 'unsupported_media_type' }],
      ['{}', 'application/json', 415, { code: 'unsupported_media_type' }],
    ] as const)
      expect(await send(device, body, type)).toMatchObject({ status, body: told });
    const elsewhere = await request(`${system.listeners}/api/v1/subscriptions`, {
      method: 'POST',
      token: device.token,
      body: many(1),
      headers: { 'content-type': OPML },
    });
    expect(elsewhere).toMatchObject({ status: 415, body: { code: 'unsupported_media_type' } });
    expect(await feedsOf(device)).toEqual([]);
  });

  it('may be as large as is said', async () => {
    const tooLong = { 'content-type': OPML, 'content-length': BODY_MAX_BYTES + 1 };
    const refused = await new Promise<number>((resolve, reject) => {
      const sent = httpRequest(`${system.listeners}/api/v1/opml`, { method: 'POST', headers: tooLong }, (answer) => {
        resolve(answer.resume().statusCode!);
      });
      sent.once('error', reject).flushHeaders();
    });
    expect(refused).toBe(413);
    const file = many(1);
    const { status } = await send(await newListener(system.listeners), file + ' '.repeat(BODY_MAX_BYTES - file.length));
    expect(status).toBe(200);
  });

  it('is documented as the body of its route', async () => {
    const { paths } = (await request(`${system.listeners}/api/openapi.json`)).body as OpenApi;
    const { requestBody } = paths['/api/v1/opml']!['post']!;
    expect(requestBody!.content).toEqual({
      'text/x-opml': { schema: { type: 'string' } },
      'application/xml': { schema: { type: 'string' } },
      'text/xml': { schema: { type: 'string' } },
    });
  });
});
