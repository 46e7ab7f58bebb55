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
    const LIMIT_MS = 3_000;
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
});
