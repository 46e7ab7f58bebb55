import { waitFor } from '@balados/testing';
import { Answer, base64, base64Url, login, newListener, register, request } from './support/client';
import { KINDS, startSystem, System } from './support/system';

const FEED = 'https://feeds.example/one.xml';
const OTHER = 'https://feeds.example/two.xml';
const ITEM = 'guid-1,https://media.example/1.mp3';
const itemNumber = (n: number): string => `guid-${n},https://media.example/${n}.mp3`;

describe.each(KINDS)('saves and shares on %s', (kind) => {
  let system: System;
  let api: string;

  beforeAll(async () => {
    system = await startSystem(kind);
    api = system.listeners;
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  const items = ({ body }: Answer): string[] =>
    body.episodes.map(({ rss_source_item }: { rss_source_item: string }) => rss_source_item);
  const popularityOf = (feed: string) =>
    request(`${system.public}/api/v1/public/feed/${base64Url(feed)}/popularity`).then(({ body }) => body.podcast);
  const timelineOf = async (feed: string): Promise<string[]> => {
    const { body } = await request(`${system.public}/api/v1/public/timeline?feed=${base64Url(feed)}`);
    return body.events.map(({ event_type }: { event_type: string }) => event_type);
  };

  it('saves, shows it at once on another device, unsaves', async () => {
    const credentials = await register(api);
    const [phone, laptop] = [await login(api, credentials, 'phone'), await login(api, credentials, 'laptop')];
    const saved = await phone.save(ITEM, FEED);
    const data = {
      rss_source_feed: base64(FEED),
      rss_source_item: base64(ITEM),
      saved: true,
      saved_at: expect.stringMatching(/^\d{4}-.*Z$/),
      shared_at: null,
    };
    expect(saved).toMatchObject({ status: 200, body: { status: 'success' } });
    expect(saved.body.data).toEqual(data);
    const pagination = { limit: 50, offset: 0, total: 1 };
    expect((await laptop.get('/episodes/saved')).body).toEqual({ episodes: [saved.body.data], pagination });
    expect((await laptop.save(ITEM)).body).toEqual(saved.body);

    const unsaved = await laptop.unsave(ITEM);
    expect([unsaved.status, unsaved.body.data]).toEqual([200, { ...data, saved: false, saved_at: null }]);
    expect((await laptop.unsave(ITEM)).body).toEqual(unsaved.body);
    expect((await phone.get('/episodes/saved')).body).toEqual({
      episodes: [],
      pagination: { ...pagination, total: 0 },
    });
  });

  it('shares, and a saved episode says when', async () => {
    const device = await newListener(api);
    const { status, body } = await device.share(ITEM, FEED);
    expect([status, body.data]).toEqual([
      200,
      {
        rss_source_feed: base64(FEED),
        rss_source_item: base64(ITEM),
        saved: false,
        saved_at: null,
        shared_at: expect.stringMatching(/^\d{4}-.*Z$/),
      },
    ]);
    expect((await device.get('/episodes/saved')).body.episodes).toEqual([]);
    const saved = await device.save(ITEM);
    expect(saved.body.data).toMatchObject({ saved: true, shared_at: body.data.shared_at });
    expect((await device.get('/episodes/saved')).body.episodes).toEqual([saved.body.data]);
  });

  it('takes an unsaving of what was never saved for so already', async () => {
    const device = await newListener(api);
    const { status, body } = await device.unsave(ITEM, FEED);
    expect([status, body.data]).toEqual([
      200,
      {
        rss_source_feed: base64(FEED),
        rss_source_item: base64(ITEM),
        saved: false,
        saved_at: null,
        shared_at: null,
      },
    ]);
    expect(await device.unsave(ITEM)).toMatchObject({ status: 404, body: { code: 'episode_unknown' } });
  });

  it('does not guess: an unknown item is 404, one of two feeds 409 with both', async () => {
    const device = await newListener(api);
    const acts = [device.save, device.unsave, device.share];
    for (const act of acts) expect(await act(ITEM)).toMatchObject({ status: 404, body: { code: 'episode_unknown' } });
    await device.play(FEED, ITEM, 1);
    await device.save(ITEM, OTHER);
    for (const act of acts)
      expect(await act(ITEM)).toMatchObject({
        status: 409,
        body: { code: 'episode_ambiguous', candidates: [base64(FEED), base64(OTHER)] },
      });
    expect((await device.save(ITEM, FEED)).status).toBe(200);
  });

  it('makes no play status, and a sync that shows the episode first still is a listen', async () => {
    const device = await newListener(api);
    await device.save(ITEM, FEED);
    await device.share(ITEM, FEED);
    expect((await device.get('/play')).body.pagination.total).toBe(0);
    const before = await device.sync({});
    expect(before.body.data.play_statuses).toEqual([]);
    const play = { rss_source_feed: base64(FEED), rss_source_item: base64(ITEM), position: 3, played: false };
    const entry = { ...play, updated_at: '2026-01-01T00:00:00.000Z' };
    expect((await device.sync({ play_statuses: [entry] })).body.data.play_statuses).toEqual([entry]);
    await device.unsave(ITEM);
    expect((await device.sync({ since: before.body.sync_token })).body.data.play_statuses).toEqual([entry]);
    expect((await device.get('/play')).body.play_statuses).toEqual([entry]);
  });

  it('lists the most recently saved first, by pages, of one feed if asked', async () => {
    const device = await newListener(api);
    for (const n of [1, 2, 3]) await device.save(itemNumber(n), FEED);
    await device.save(ITEM, OTHER);
    await device.unsave(itemNumber(2));
    await device.save(itemNumber(2), FEED);
    const all = [itemNumber(2), ITEM, itemNumber(3), ITEM].map(base64);
    expect(items(await device.get('/episodes/saved'))).toEqual(all);
    const page = await device.get('/episodes/saved?limit=2&offset=1');
    expect(items(page)).toEqual(all.slice(1, 3));
    expect(page.body.pagination).toEqual({ limit: 2, offset: 1, total: 4 });
    const ofFeed = await device.get(`/episodes/saved?feed=${base64Url(OTHER)}`);
    expect(ofFeed.body).toMatchObject({ episodes: [{ rss_source_feed: base64(OTHER) }], pagination: { total: 1 } });
  });

  it.each(['GET saved?limit=0', 'GET saved?offset=-1', 'GET saved?feed=!', 'POST %25/save', 'POST LA/share?feed=!'])(
    'refuses %s',
    async (route) => {
      const device = await newListener(api);
      const [method, path] = route.split(' ') as [string, string];
      const { status, body } = await device.send(method, `/episodes/${path}`);
      expect([status, body.code]).toEqual([422, 'invalid']);
    },
  );

  it.each(['GET saved', 'POST LA/save', 'DELETE LA/save', 'POST LA/share'])(
    'lets nobody in at %s without a token',
    async (route) => {
      const [method, path] = route.split(' ') as [string, string];
      const { status, body } = await request(`${api}/api/v1/episodes/${path}`, { method });
      expect([status, body.code]).toEqual([401, 'no_token']);
    },
  );

  it('shows one listener nothing of another', async () => {
    const [ada, bob] = [await newListener(api), await newListener(api)];
    await ada.save(ITEM, FEED);
    expect((await bob.get('/episodes/saved')).body.episodes).toEqual([]);
    expect((await bob.unsave(ITEM)).status).toBe(404);
    expect((await bob.unsave(ITEM, FEED)).body.data.saved).toBe(false);
    expect((await ada.get('/episodes/saved')).body.pagination.total).toBe(1);
  });

  it('counts in public, and an unsaving leaves the counts as if it had never been saved', async () => {
    const feed = `https://feeds.example/liked-${Date.now()}.xml`;
    const [ada, bob] = [await newListener(api), await newListener(api)];
    for (const listener of [ada, bob]) await listener.subscribe(feed);
    await waitFor(async () => (await popularityOf(feed))?.score === 20, { what: 'a score of 20' });
    const before = [await popularityOf(feed), await timelineOf(feed)];

    await ada.save(ITEM, feed);
    await bob.share(ITEM, feed);
    await bob.share(ITEM, feed);
    await waitFor(async () => (await popularityOf(feed)).score === 25, { what: 'a score of 25' });
    expect(await popularityOf(feed)).toMatchObject({ likes: 1, likes_people: [], plays: 0 });
    expect((await timelineOf(feed)).sort()).toEqual(['save', 'share', 'subscribe', 'subscribe']);
    const ofEpisode = `${system.public}/api/v1/public/episode/${base64Url(ITEM)}/popularity?feed=${base64Url(feed)}`;
    expect((await request(ofEpisode)).body.episode).toMatchObject({ score: 5, likes: 1 });

    const other = `https://feeds.example/regretted-${Date.now()}.xml`;
    for (const listener of [ada, bob]) await listener.subscribe(other);
    await ada.save(ITEM, other);
    await waitFor(async () => (await popularityOf(other))?.score === 23, { what: 'a score of 23' });
    await ada.unsave(ITEM, other);
    await waitFor(async () => (await popularityOf(other)).score === 20, { what: 'a score of 20 again' });
    const [podcast, events] = before as [object, string[]];
    expect(await popularityOf(other)).toEqual({ ...podcast, rss_source_feed: base64(other) });
    expect(await timelineOf(other)).toEqual(events);
  });

  if (kind === 'services')
    it('lists the same while the projections are away', async () => {
      const device = await newListener(api);
      for (const n of [1, 2, 3]) await device.save(itemNumber(n), FEED);
      await device.share(itemNumber(2));
      const { body } = await device.get('/episodes/saved');
      await system.processes['projections']!.stop();
      await device.save(itemNumber(4), FEED);
      await device.unsave(itemNumber(4));
      const answer = await device.get('/episodes/saved');
      expect(answer.headers.get('balados-stale')).toBeNull();
      expect(answer.body).toEqual(body);
      await device.unsave(itemNumber(1));
      expect(items(await device.get('/episodes/saved?limit=1&offset=1'))).toEqual([base64(itemNumber(2))]);
      await system.processes['projections']!.start();
    });
});
