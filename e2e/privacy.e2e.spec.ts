import { Client } from 'pg';
import { waitFor } from '@balados/testing';
import { Answer, base64, base64Url, Device, login, newListener, register, request } from './support/client';
import { LogReader } from './support/log';
import { KINDS, startSystem, System } from './support/system';

const FEED = 'https://feeds.example/one.xml?a=???>';
const OTHER = 'https://feeds.example/two.xml';
const ITEM = 'guid-1,https://media.example/1.mp3';
const MOVED = 'guid-1,https://cdn.example/1.mp3';

const setting = (privacy: string | null, feed: string | null = null, item: string | null = null) => ({
  feed: feed && base64(feed),
  item: item && base64(item),
  privacy,
});

describe.each(KINDS)('privacy settings on %s', (kind) => {
  let system: System;
  let log: LogReader;
  let phone: Device;
  let laptop: Device;

  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api']);
    log = new LogReader(system.eventStore);
  }, 120_000);
  afterAll(async () => {
    await log?.close();
    await system?.stop();
  }, 120_000);
  beforeEach(async () => {
    const credentials = await register(system.listeners);
    phone = await login(system.listeners, credentials, 'phone');
    laptop = await login(system.listeners, credentials, 'laptop');
  });

  const query = (feed?: string, item?: string, encode = base64Url): string => {
    const parameters = new URLSearchParams({
      ...(feed && { feed: encode(feed) }),
      ...(item && { item: encode(item) }),
    });
    return `/privacy?${parameters}`;
  };
  const change = (device: Device, privacy: string, feed?: string, item?: string): Promise<Answer> =>
    device.send('PUT', '/privacy', setting(privacy, feed, item));
  const reset = (device: Device, feed?: string, item?: string): Promise<Answer> =>
    device.send('DELETE', query(feed, item));
  const list = async (device: Device, feed?: string, item?: string): Promise<object[]> =>
    (await device.get(query(feed, item))).body.privacy_settings;
  const revision = (device: Device): Promise<number> => log.head(`privacy-${device.userId}`);

  it('are set for account, podcast and episode, and seen at once on another device', async () => {
    expect((await laptop.get('/privacy')).body).toEqual({ privacy_settings: [] });
    const settings = [setting('public'), setting('anonymous', FEED), setting('private', FEED, ITEM)];
    for (const each of [...settings].reverse()) {
      const { status, body } = await phone.send('PUT', '/privacy', each);
      expect([status, body]).toEqual([200, { status: 'success', data: each }]);
    }
    const answer = await laptop.get('/privacy');
    expect(answer.body).toEqual({ privacy_settings: settings });
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
    expect((await change(laptop, 'private')).body.data).toEqual(setting('private'));
    expect(await list(phone)).toEqual([setting('private'), ...settings.slice(1)]);
  });

  it('are written once, however often they are sent', async () => {
    const acts = [
      () => change(phone, 'public'),
      () => change(phone, 'private', FEED),
      () => change(phone, 'private', FEED, ITEM),
      () => change(phone, 'private', undefined, ITEM),
      () => reset(phone, FEED),
      () => reset(phone, undefined, ITEM),
      () => reset(phone),
    ];
    for (const act of acts) {
      const [first, head] = [await act(), await revision(phone)];
      const again = await act();
      expect([first.status, again.status, again.body]).toEqual([200, 200, first.body]);
      expect(await revision(phone)).toBe(head);
    }
    expect(await revision(phone)).toBe(5);
    expect(await list(phone)).toEqual([]);
  });

  it('are removed one scope at a time, and the wider one stays', async () => {
    await change(phone, 'public');
    await change(phone, 'private', FEED);
    await change(phone, 'anonymous', FEED, ITEM);
    const { status, body } = await reset(laptop, FEED);
    expect([status, body]).toEqual([200, { status: 'success', data: setting(null, FEED) }]);
    expect(await list(phone)).toEqual([setting('public'), setting('anonymous', FEED, ITEM)]);
    expect((await reset(phone, FEED, ITEM)).body.data).toEqual(setting(null, FEED, ITEM));
    expect((await reset(phone)).body.data).toEqual(setting(null));
    expect(await list(laptop)).toEqual([]);
  });

  it('are listed of a podcast with its episodes, of an episode, and of an item in any podcast', async () => {
    const settings = [
      setting('private'),
      setting('public', FEED),
      setting('private', FEED, ITEM),
      setting('private', FEED, 'other,'),
      setting('anonymous', OTHER, MOVED),
    ];
    for (const each of settings) await phone.send('PUT', '/privacy', each);
    const [, podcast, episode, another, elsewhere] = settings;
    expect(await list(phone, FEED)).toEqual([podcast, episode, another]);
    expect(await list(phone, FEED, ITEM)).toEqual([episode]);
    expect(await list(phone, undefined, ITEM)).toEqual([episode, elsewhere]);
    expect(await list(phone, 'https://feeds.example/unknown.xml')).toEqual([]);
  });

  it('name feeds in either alphabet and any spelling', async () => {
    const spelt = FEED.replace('https://feeds', 'HTTPS://FEEDS');
    await phone.send('PUT', '/privacy', { privacy: 'private', feed: base64Url(spelt), item: base64Url(ITEM) });
    expect(base64(FEED)).not.toBe(base64Url(FEED));
    for (const encode of [base64, base64Url]) {
      const { body } = await phone.get(query(FEED, ITEM, encode));
      expect(body.privacy_settings).toEqual([setting('private', FEED, ITEM)]);
    }
    await phone.send('DELETE', query(FEED, ITEM, base64));
    expect(await list(phone)).toEqual([]);
  });

  it('of an episode hold wherever its file is', async () => {
    await change(phone, 'private', FEED, ITEM);
    expect((await change(phone, 'private', FEED, MOVED)).body.data).toEqual(setting('private', FEED, MOVED));
    expect(await list(phone)).toEqual([setting('private', FEED, MOVED)]);
    await reset(phone, FEED, ITEM);
    expect(await list(phone)).toEqual([]);
  });

  it('find the podcast of an item that comes alone, and do not guess', async () => {
    const acts = [() => change(phone, 'private', undefined, ITEM), () => reset(phone, undefined, ITEM)];
    for (const act of acts) expect(await act()).toMatchObject({ status: 404, body: { code: 'episode_unknown' } });
    await phone.save(ITEM, FEED);
    expect((await acts[0]!()).body.data).toEqual(setting('private', FEED, ITEM));
    expect((await acts[1]!()).body.data).toEqual(setting(null, FEED, ITEM));
    await change(phone, 'private', OTHER, MOVED);
    const candidates = [base64(FEED), base64(OTHER)];
    for (const act of acts)
      expect(await act()).toMatchObject({ status: 409, body: { code: 'episode_ambiguous', candidates } });
    expect((await reset(phone, OTHER, ITEM)).status).toBe(200);
    // Nothing of this was of the account.
    expect(await list(phone)).toEqual([]);
  });

  it('are no part of a sync', async () => {
    const before = (await phone.sync({})).body;
    await change(phone, 'private');
    await change(phone, 'public', FEED, ITEM);
    const { body } = await phone.sync({});
    expect(body).toEqual(before);
    expect((await phone.sync({ since: before.sync_token })).body.sync_token).toBe(before.sync_token);
    expect((await phone.get('/play')).body.pagination.total).toBe(0);
  });

  it('of another listener are neither seen nor changed', async () => {
    const stranger = await newListener(system.listeners);
    const before = await stranger.get(query(FEED, ITEM));
    await change(phone, 'private');
    await change(phone, 'private', FEED, ITEM);
    for (const path of ['/privacy', query(FEED), query(FEED, ITEM), query(undefined, ITEM)])
      expect((await stranger.get(path)).body).toEqual(before.body);
    expect((await reset(stranger, FEED, ITEM)).body.data).toEqual(setting(null, FEED, ITEM));
    expect(await reset(stranger, undefined, ITEM)).toMatchObject({ status: 404, body: { code: 'episode_unknown' } });
    await change(stranger, 'public', FEED, ITEM);
    await reset(stranger);
    expect(await list(phone)).toEqual([setting('private'), setting('private', FEED, ITEM)]);
    expect(await list(stranger)).toEqual([setting('public', FEED, ITEM)]);
  });

  it.each([
    ['PUT', '', {}, 'privacy'],
    ['PUT', '', { privacy: null }, 'privacy'],
    ['PUT', '', { privacy: 'secret' }, 'privacy'],
    ['PUT', '', { privacy: 'private', feed: '%%%' }, 'feed'],
    ['PUT', '', { privacy: 'private', feed: base64('no URL') }, 'feed'],
    ['PUT', '', { privacy: 'private', feed: base64(FEED), item: 7 }, 'item'],
    // Not the account's.
    ['PUT', '', { privacy: 'public', rss_source_feed: base64(FEED) }, ''],
    ['PUT', '', [], ''],
    ['DELETE', '?fed=x', undefined, ''],
    ['DELETE', '', { feed: base64(FEED) }, ''],
    ['DELETE', '?feed=', undefined, 'feed'],
    ['DELETE', '?feed=aaaa&feed=aaaa', undefined, 'feed'],
    ['GET', '?feed=!', undefined, 'feed'],
    ['GET', '?item=LA', undefined, 'item'],
  ])('refuse %s %s with %j and say where', async (method, path, body, flaw) => {
    const answer = await phone.send(method, `/privacy${path}`, body);
    expect([answer.status, answer.body.code, answer.body.errors[0]?.path]).toEqual([422, 'invalid', flaw]);
    expect(await revision(phone)).toBe(-1);
  });

  it.each(['GET', 'PUT', 'DELETE'])('let nobody in at %s without a token', async (method) => {
    const { status, body } = await request(`${system.listeners}/api/v1/privacy`, { method });
    expect([status, body.code]).toEqual([401, 'no_token']);
  });

  // Of six processes one can be stopped alone.
  if (kind === 'services')
    it('are the same from the table and from the events', async () => {
      const projections = system.processes['projections']!;
      await change(phone, 'public');
      await change(phone, 'private', FEED, ITEM);
      await change(phone, 'private', OTHER);
      await projections.stop();
      // Not projected yet, so that what is answered cannot be from the table.
      await change(phone, 'anonymous', FEED);
      await change(phone, 'private', FEED, MOVED);
      await reset(phone, OTHER);
      const paths = ['/privacy', query(FEED), query(FEED, ITEM), query(undefined, ITEM), query(OTHER)];
      const fromEvents = [];
      for (const path of paths) {
        const { headers, body } = await laptop.get(path);
        expect(headers.get('balados-stale')).toBeNull();
        fromEvents.push(body.privacy_settings);
      }
      const [account, podcast, episode] = [
        setting('public'),
        setting('anonymous', FEED),
        setting('private', FEED, MOVED),
      ];
      expect(fromEvents).toEqual([[account, podcast, episode], [podcast, episode], [episode], [episode], []]);

      await projections.start();
      const head = await revision(phone);
      const client = new Client({ connectionString: system.database });
      await client.connect();
      const projected = async (): Promise<boolean> => {
        const { rows } = await client.query(
          `SELECT FROM users.listener_revisions WHERE user_id = $1 AND category = 'privacy' AND revision = $2`,
          [phone.userId, head],
        );
        return rows.length === 1;
      };
      await waitFor(projected, { what: 'the projection of the settings' }).finally(() => client.end());
      const fromTable = [];
      for (const path of paths) fromTable.push((await laptop.get(path)).body.privacy_settings);
      expect(fromTable).toEqual(fromEvents);
    });
});
