import { waitFor } from '@balados/testing';
import { base64, base64Url, Device, newListener, request } from './support/client';
import { startSystem, System } from './support/system';

/** What none of our clients sends, but anybody may. */
describe('what is odd or meant ill', () => {
  let system: System;
  let device: Device;

  beforeAll(async () => {
    system = await startSystem('standalone');
    device = await newListener(system.listeners);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  describe('in time', () => {
    // By the square of their length these take from seconds to hours, and meanwhile nobody else is answered.
    const LIMIT_MS = 10_000;
    const host = Array.from({ length: 250_000 }, (_, index) =>
      String.fromCodePoint(0x4e00 + ((index * 7_919) % 20_000)),
    );

    it.each([
      ['padding without end', `${'='.repeat(900_000)}x`],
      ['a host without end', base64(`https://${host.join('')}/`)],
    ])('is answered: %s', async (_, feed) => {
      const started = performance.now();
      const { status, body } = await device.sync({ subscriptions: [{ rss_source_feed: feed }] });
      expect([status, body.rejected.length]).toEqual([200, 1]);
      expect(performance.now() - started).toBeLessThan(LIMIT_MS);
    });

    it('is answered: a list of nothings, and not with a list as long', async () => {
      const { status, body } = await device.sync(`{"subscriptions": [${'0,'.repeat(500_000)}0]}`);
      expect([status, body.errors]).toEqual([422, [expect.objectContaining({ path: 'subscriptions' })]]);
    });
  });

  it('a feed as long as feeds may be is one of paths, too', async () => {
    const feed = 'https://feeds.example/'.padEnd(2_048, '漢');
    expect((await device.subscribe(feed)).status).toBe(200);
    expect((await device.unsubscribe(feed)).body.data?.unsubscribed_at).toEqual(expect.any(String));
    const popularity = await request(`${system.public}/api/v1/public/feed/${base64Url(feed)}/popularity`);
    expect(popularity.body.code).toBe('not_public');
  });

  it('a request without a body may say that it would be JSON', async () => {
    const once = await newListener(system.listeners);
    const bare = (method: string, path: string) =>
      request(`${system.listeners}/api/v1${path}`, {
        method,
        token: once.token,
        headers: { 'content-type': 'application/json' },
      });
    expect((await bare('DELETE', `/subscriptions/${base64Url('https://feeds.example/')}`)).status).toBe(200);
    expect((await bare('POST', '/sync')).status).toBe(422);
    expect((await bare('POST', '/auth/logout')).status).toBe(200);
  });

  it('the extremes of every field are kept as they are, by the log and by the read models', async () => {
    const odd = ['\\u0000', '"\\', '{NULL,"', 'a\u2028b', '\uffff', '😀', '\u202e', "'; --", '$1%s', 'a\ufeff.'];
    const feeds = [
      ...odd.map((text) => `https://feeds.example/${text}`),
      ...['a', '漢', '"', '\\'].map((letter) => 'https://feeds.example/'.padEnd(2_048, letter)),
      'http://user:secret@[::1]:8080/?token=1',
    ];
    const items = [...odd, 'x'.repeat(3_000), '漢'.repeat(1_000), '"'.repeat(3_000), ',https://media.example/?token=1'];
    const positions = [0, 5e-324, 2.225e-308, 1e-300, 0.1, 1 / 3, 9_999_999.999999998, 10_000_000];
    const ids = [...odd, 'NULL', 'null', '漢'.repeat(255)];
    const times = [
      '1970-01-01T00:00:00.000Z',
      '2000-02-29T23:59:59.999Z',
      new Date(Date.now() + 86_000_000).toISOString(),
    ];
    const one = <Value>(of: readonly Value[], index: number): Value => of[index % of.length]!;
    const sent = {
      subscriptions: feeds.map((feed, index) => ({
        rss_source_feed: base64(feed),
        rss_source_id: one(ids, index),
        subscribed_at: one(times, index + 1),
        unsubscribed_at: null,
      })),
      play_statuses: feeds.flatMap((feed, row) =>
        items.map((item, column) => ({
          rss_source_feed: base64(feed),
          rss_source_item: base64(item),
          position: one(positions, row + column),
          played: row % 2 === 0,
          updated_at: one(times, column),
        })),
      ),
    };
    const listeners = [device, await newListener(system.listeners)];
    for (const listener of listeners) expect((await listener.sync(sent)).body.rejected).toEqual([]);
    await waitFor(async () => (await request(`${system.listeners}/readyz`)).body.ready, { what: 'readiness' });

    const fresh = listeners[1]!;
    const byKey = (entries: object[]) => entries.map((entry) => JSON.stringify(entry)).sort();
    const { data } = (await fresh.sync({})).body;
    expect([byKey(data.subscriptions), byKey(data.play_statuses)]).toEqual([
      byKey(sent.subscriptions),
      byKey(sent.play_statuses),
    ]);
    const read = await Promise.all([0, 100, 200].map((offset) => fresh.get(`/play?limit=100&offset=${offset}`)));
    expect(byKey(read.flatMap(({ body }) => body.play_statuses))).toEqual(byKey(sent.play_statuses));
    const timeline = `${system.public}/api/v1/public/timeline?limit=100&feed=${base64Url(feeds[0]!)}`;
    const shown = await waitFor(
      async () => {
        const { body } = await request(timeline);
        return body.events.length > 0 && JSON.stringify(body);
      },
      { what: 'both listeners to be in the timeline' },
    );
    for (const listener of listeners) expect(shown).not.toContain(listener.userId);
    expect((await request(`${system.listeners}/readyz`)).body.ready).toBe(true);
  });
});
