import { randomUUID } from 'node:crypto';
import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { base64, Device, login, newListener, register, request } from './support/client';
import { KINDS, startSystem, System } from './support/system';

const FEED = 'https://feeds.example/one.xml';
const UNKNOWN = '5b2c1a9e-0000-4000-8000-000000000001';
const at = (minute: number): string => new Date(Date.UTC(2026, 0, 1, 0, minute)).toISOString();
const itemOf = (guid: string) => ({
  rss_source_feed: base64(FEED),
  rss_source_item: base64(`${guid},https://media.example/${guid}.mp3`),
});

interface Item {
  id: string;
  rss_source_item: string;
}
const guids = ({ items }: { items: Item[] }): string[] =>
  items.map((item) => Buffer.from(item.rss_source_item, 'base64').toString().split(',')[0]!);

describe.each(KINDS)('playlists on %s', (kind) => {
  let system: System;
  let phone: Device;
  let laptop: Device;

  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api']);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);
  beforeEach(async () => {
    const credentials = await register(system.listeners);
    phone = await login(system.listeners, credentials, 'phone');
    laptop = await login(system.listeners, credentials, 'laptop');
  });

  const create = async (device: Device, body: object = { name: 'Walks' }): Promise<string> => {
    const answer = await device.send('POST', '/playlists', body);
    expect(answer).toMatchObject({ status: 200, body: { status: 'success' } });
    return answer.body.data.id;
  };
  const add = async (device: Device, playlist: string, ...names: string[]): Promise<Item[]> => {
    const items: Item[] = [];
    for (const name of names) {
      const { body } = await device.send('POST', `/playlists/${playlist}/items`, itemOf(name));
      items.push(body.data);
    }
    return items;
  };
  const one = async (device: Device, playlist: string) => (await device.get(`/playlists/${playlist}`)).body.playlist;

  /** Until the tables hold the last event of the listener's playlists. */
  const waitUntilProjected = async (device: Device): Promise<void> => {
    const { sync_token } = (await device.sync({})).body;
    const { playlists: head } = JSON.parse(Buffer.from(sync_token, 'base64url').toString());
    const client = new Client({ connectionString: system.database });
    await client.connect();
    const projected = async (): Promise<boolean> => {
      const { rows } = await client.query(
        `SELECT FROM users.listener_revisions WHERE user_id = $1 AND category = 'playlists' AND revision = $2`,
        [device.userId, head],
      );
      return rows.length === 1;
    };
    await waitFor(projected, { what: 'the projection of the playlists' }).finally(() => client.end());
  };

  it('are made, shown at once on another device, renamed, described and deleted', async () => {
    const made = await phone.send('POST', '/playlists', { name: 'Walks', description: 'slow\nones' });
    expect(made).toMatchObject({
      status: 200,
      body: { status: 'success', data: { name: 'Walks', description: 'slow\nones', deleted_at: null, items: [] } },
    });
    const { id } = made.body.data;
    expect((await laptop.get('/playlists')).body).toEqual({ playlists: [made.body.data] });
    expect((await laptop.get(`/playlists/${id}`)).body).toEqual({ playlist: made.body.data });

    const renamed = await laptop.send('PATCH', `/playlists/${id}`, { name: 'Strolls' });
    expect(renamed.body.data).toMatchObject({ name: 'Strolls', description: 'slow\nones' });
    const described = await phone.send('PATCH', `/playlists/${id}`, { description: null });
    expect(described.body.data).toMatchObject({ name: 'Strolls', description: null });
    expect(await one(laptop, id)).toEqual(described.body.data);

    const deleted = await laptop.send('DELETE', `/playlists/${id}`);
    expect(deleted.body.data.deleted_at).not.toBeNull();
    expect((await laptop.send('DELETE', `/playlists/${id}`)).body).toEqual(deleted.body);
    expect((await phone.get('/playlists')).body).toEqual({ playlists: [] });
    expect(await phone.get(`/playlists/${id}`)).toMatchObject({ status: 404, body: { code: 'playlist_unknown' } });
    expect(await phone.send('PATCH', `/playlists/${id}`, { name: 'x' })).toMatchObject({ status: 404 });
  });

  it('take the id that a client chose, once', async () => {
    const id = randomUUID();
    const first = await phone.send('POST', '/playlists', { id: id.toUpperCase(), name: 'Walks' });
    expect(first.body.data.id).toBe(id);
    expect((await phone.send('POST', '/playlists', { id, name: 'Walks' })).body).toEqual(first.body);
    const other = await phone.send('POST', '/playlists', { id, name: 'Runs' });
    expect(other).toMatchObject({ status: 409, body: { code: 'playlist_exists' } });
    // Another listener may choose the same.
    const stranger = await newListener(system.listeners);
    expect(await create(stranger, { id, name: 'Mine' })).toBe(id);
    expect((await one(phone, id)).name).toBe('Walks');
  });

  it('hold items, each once, in the order in which they were added or put', async () => {
    const playlist = await create(phone);
    const [first, second, third] = (await add(phone, playlist, 'one', 'two', 'three')) as [Item, Item, Item];
    expect(first).toMatchObject({ ...itemOf('one'), item_title: null, feed_title: null, deleted_at: null });
    expect(await add(laptop, playlist, 'one')).toEqual([first]);
    expect(guids(await one(laptop, playlist))).toEqual(['one', 'two', 'three']);

    const titled = await laptop.send('POST', `/playlists/${playlist}/items`, { ...itemOf('two'), item_title: 'Two' });
    expect(titled.body.data).toMatchObject({ id: second.id, item_title: 'Two' });

    const order = await laptop.send('PUT', `/playlists/${playlist}/order`, { items: [third.id, first.id] });
    expect(guids(order.body.data)).toEqual(['three', 'one', 'two']);
    expect(await one(phone, playlist)).toEqual(order.body.data);

    const removed = await phone.send('DELETE', `/playlists/${playlist}/items/${first.id}`);
    expect(removed.body.data.deleted_at).not.toBeNull();
    expect((await laptop.send('DELETE', `/playlists/${playlist}/items/${first.id}`)).body).toEqual(removed.body);
    expect(guids(await one(laptop, playlist))).toEqual(['three', 'two']);
  });

  // Of six processes one can be stopped alone.
  if (kind === 'services') {
    it('are the same from the tables and from the events', async () => {
      const projections = system.processes['projections']!;
      const [walks, runs] = [await create(phone), await create(phone, { name: 'Runs', description: 'fast' })];
      await add(phone, walks, 'one', 'two', 'three');
      const [item] = (await add(phone, runs, 'one', 'two')) as [Item];
      await phone.send('DELETE', `/playlists/${runs}/items/${item.id}`);
      await phone.send('DELETE', `/playlists/${await create(phone, { name: 'Gone' })}`);
      await projections.stop();
      // Not projected yet, so that what is answered cannot be from the tables.
      const last = (await add(phone, walks, 'four'))[0]!;
      await phone.send('PUT', `/playlists/${walks}/order`, { items: [last.id] });
      const fromEvents = (await laptop.get('/playlists')).body;
      expect(fromEvents.playlists.map(guids)).toEqual([['two'], ['four', 'one', 'two', 'three']]);
      await projections.start();
      await waitUntilProjected(phone);
      expect((await laptop.get('/playlists')).body).toEqual(fromEvents);
      expect(await one(laptop, walks)).toEqual(fromEvents.playlists[1]);
    });
  }

  it('of another listener are as if they were not there', async () => {
    const playlist = await create(phone);
    const [item] = (await add(phone, playlist, 'one')) as [Item];
    const stranger = await newListener(system.listeners);
    const own = await create(stranger);
    const tries: [method: string, path: string, body?: object][] = [
      ['GET', ''],
      ['PATCH', '', { name: 'Mine' }],
      ['DELETE', ''],
      ['POST', '/items', itemOf('two')],
      ['DELETE', `/items/${item.id}`],
      ['PUT', '/order', { items: [item.id] }],
    ];
    for (const [method, path, body] of tries) {
      const theirs = await stranger.send(method, `/playlists/${playlist}${path}`, body);
      const missing = await stranger.send(method, `/playlists/${UNKNOWN}${path}`, body);
      expect([method, theirs.status, theirs.body.code]).toEqual([method, 404, 'playlist_unknown']);
      expect(theirs.body).toEqual({ ...missing.body, correlation_id: expect.any(String) });
    }
    const removal = await stranger.send('DELETE', `/playlists/${own}/items/${item.id}`);
    expect(removal).toMatchObject({ status: 404, body: { code: 'playlist_item_unknown' } });
    expect(await one(phone, playlist)).toMatchObject({ name: 'Walks', items: [item] });
    expect((await stranger.get('/playlists')).body.playlists).toHaveLength(1);
  });

  it.each([
    ['POST', '', {}, 'name'],
    ['POST', '', { name: '' }, 'name'],
    ['POST', '', { name: 'a\u0000' }, 'name'],
    ['POST', '', { id: 'mine', name: 'Walks' }, 'id'],
    ['PATCH', `/${UNKNOWN}`, { name: null }, 'name'],
    ['GET', '/mine', undefined, 'id'],
    ['POST', `/${UNKNOWN}/items`, { rss_source_feed: '%%%' }, 'rss_source_feed'],
    ['DELETE', `/${UNKNOWN}/items/one`, undefined, 'item_id'],
    ['PUT', `/${UNKNOWN}/order`, { items: 'all' }, 'items'],
    ['PUT', `/${UNKNOWN}/order`, { items: [UNKNOWN, UNKNOWN] }, 'items'],
  ])('refuse %s %s with %j and say where', async (method, path, body, flaw) => {
    const answer = await phone.send(method, `/playlists${path}`, body);
    expect([answer.status, answer.body.code, answer.body.errors[0]?.path]).toEqual([422, 'invalid', flaw]);
  });

  it('let nobody in without a token', async () => {
    const answer = await request(`${system.listeners}/api/v1/playlists`);
    expect([answer.status, answer.body.code]).toEqual([401, 'no_token']);
  });

  describe('in a sync', () => {
    const entry = (id: string, updated: number, over: object = {}) => ({
      id,
      name: 'Walks',
      description: null,
      updated_at: at(updated),
      deleted_at: null,
      order: [],
      ordered_at: null,
      items: [],
      ...over,
    });
    const itemEntry = (guid: string, updated: number, over: object = {}) => ({
      ...itemOf(guid),
      item_title: null,
      feed_title: null,
      created_at: at(updated),
      updated_at: at(updated),
      deleted_at: null,
      ...over,
    });
    let id: string;
    beforeEach(() => {
      id = randomUUID();
    });

    it('bring two devices together, tombstones included, and change nothing when sent again', async () => {
      const gone = itemEntry('two', 2, { deleted_at: at(2) });
      await phone.sync({ playlists: [entry(id, 1, { items: [itemEntry('one', 1), gone] })] });
      const other = randomUUID();
      const { body } = await laptop.sync({ playlists: [entry(other, 3, { deleted_at: at(3) })] });
      expect(body).toMatchObject({ status: 'success', rejected: [], full: true });
      expect(body.data.playlists).toEqual([
        entry(id, 1, { items: [itemEntry('one', 1), gone].map((item) => ({ ...item, id: expect.any(String) })) }),
        entry(other, 3, { deleted_at: at(3) }),
      ]);
      expect(guids((await phone.get('/playlists')).body.playlists[0])).toEqual(['one']);
      // What was answered, sent back, is so already.
      const again = await phone.sync({ playlists: body.data.playlists });
      expect(again.body.data).toEqual(body.data);
      expect(again.body.sync_token).toBe(body.sync_token);
    });

    it('let the newest win: of the playlist, of each item, of the order', async () => {
      await phone.sync({
        playlists: [entry(id, 5, { items: [itemEntry('one', 5), itemEntry('two', 1), itemEntry('three', 2)] })],
      });
      const ids = (await one(phone, id)).items.map((item: Item) => item.id);
      expect(guids(await one(phone, id))).toEqual(['two', 'three', 'one']);
      const { body } = await laptop.sync({
        playlists: [
          entry(id, 4, {
            name: 'Older',
            order: [ids[2], ids[1]],
            ordered_at: at(6),
            items: [itemEntry('one', 4, { item_title: 'Older' }), itemEntry('two', 6, { deleted_at: at(6) })],
          }),
        ],
      });
      expect(body.data.playlists[0]).toMatchObject({ name: 'Walks', ordered_at: at(6) });
      const held = await one(phone, id);
      expect([held.name, guids(held), held.items[0].item_title]).toEqual(['Walks', ['one', 'three'], null]);
      await phone.sync({ playlists: [entry(id, 4, { order: ids, ordered_at: at(5) })] });
      expect(await one(phone, id)).toEqual(held);
    });

    it('answer what changed since a token, item by item', async () => {
      const first = await phone.sync({
        playlists: [entry(id, 1, { items: [itemEntry('one', 1)] }), entry(randomUUID(), 1, { name: 'Runs' })],
      });
      const nothing = await phone.sync({ since: first.body.sync_token });
      expect(nothing.body.data.playlists).toEqual([]);
      await add(laptop, id, 'two');
      const { body } = await phone.sync({ since: first.body.sync_token });
      expect([body.full, body.data.playlists.length, guids(body.data.playlists[0])]).toEqual([false, 1, ['two']]);
      const before = (await phone.sync({})).body.sync_token;
      await laptop.send('DELETE', `/playlists/${id}`);
      const after = await phone.sync({ since: before });
      expect(after.body.data.playlists).toMatchObject([{ id, deleted_at: expect.any(String), items: [] }]);
    });

    it('take a token from before playlists were synced for one that has seen none', async () => {
      const { body } = await phone.sync({ playlists: [entry(id, 1)] });
      const token = JSON.parse(Buffer.from(body.sync_token, 'base64url').toString());
      expect(token.playlists).toBe(0);
      delete token.playlists;
      const since = Buffer.from(JSON.stringify(token)).toString('base64url');
      const next = await phone.sync({ since });
      expect([next.body.full, next.body.data.playlists]).toEqual([false, [entry(id, 1)]]);
    });

    it('are taken and answered in the time of a device whose clock is off', async () => {
      const off = 3 * 3_600_000;
      const said = new Date(Date.now() + off - 60_000).toISOString();
      const times = { updated_at: said, ordered_at: said };
      const sent = entry(id, 0, { ...times, items: [itemEntry('one', 0, { created_at: said, updated_at: said })] });
      const clock = () => ({ client_time: new Date(Date.now() + off).toISOString() });
      const { body } = await phone.sync({ ...clock(), playlists: [sent] });
      expect(body.data.playlists).toEqual([{ ...sent, items: [expect.objectContaining(sent.items[0]!)] }]);
      const held = await one(laptop, id);
      for (const time of [held.updated_at, held.ordered_at, held.items[0].updated_at, held.items[0].created_at])
        expect(Date.parse(time)).toBe(Date.parse(said) - off);
      const again = await phone.sync({ ...clock(), since: body.sync_token, playlists: body.data.playlists });
      expect([again.body.sync_token, again.body.data.playlists]).toEqual([body.sync_token, []]);
    });

    it('report bad ones and bad items one by one and take the others', async () => {
      const ahead = new Date(Date.now() + 25 * 3_600_000).toISOString();
      const items = [itemEntry('one', 1), { ...itemEntry('two', 1), rss_source_item: '%%%' }, itemEntry('three', 1)];
      const { status, body } = await phone.sync({
        playlists: [
          entry(id, 1, { items: [...items, { ...itemEntry('four', 1), updated_at: ahead }, 7] }),
          { ...entry(randomUUID(), 1, { items: [itemEntry('one', 1)] }), name: null },
          entry(randomUUID(), 1, { updated_at: ahead }),
          entry(randomUUID(), 1, { items: {} }),
          null,
        ],
      });
      expect(status).toBe(200);
      expect(body.rejected).toEqual(
        [
          ['playlists[0].items[1].rss_source_item', 'invalid_base64'],
          ['playlists[0].items[3]', 'clock_ahead'],
          ['playlists[0].items[4]', 'invalid'],
          ['playlists[1].name', 'invalid'],
          ['playlists[2]', 'clock_ahead'],
          ['playlists[3].items', 'invalid'],
          ['playlists[4]', 'invalid'],
        ].map(([path, code]) => ({ path, code, message: expect.any(String) })),
      );
      expect(body.data.playlists).toHaveLength(1);
      expect(guids(body.data.playlists[0]).sort()).toEqual(['one', 'three']);
    });

    it('leave alone what a body leaves out', async () => {
      await phone.sync({ playlists: [entry(id, 1, { items: [itemEntry('one', 1)] })] });
      const before = await one(phone, id);
      await laptop.sync({ playlists: [] });
      await laptop.sync({ playlists: [{ id, name: 'Walks', updated_at: at(1) }] });
      expect(await one(phone, id)).toEqual(before);
    });

    it('say for what there was no room', async () => {
      const many = Array.from({ length: 101 }, (_, n) => entry(randomUUID(), 1, { name: `Playlist ${n}` }));
      const { body } = await phone.sync({ playlists: many });
      expect(body.rejected).toEqual([{ path: 'playlists[100]', code: 'playlists_full', message: expect.any(String) }]);
      const more = await phone.send('POST', '/playlists', { name: 'One more' });
      expect(more).toMatchObject({ status: 422, body: { code: 'playlists_full' } });
      const items = Array.from({ length: 1_001 }, (_, n) => itemEntry(`guid-${n}`, 1));
      const full = await phone.sync({ playlists: [{ ...many[0], items }] });
      const path = 'playlists[0].items[1000]';
      expect(full.body.rejected).toEqual([{ path, code: 'playlist_full', message: expect.any(String) }]);
    });
  });
});
