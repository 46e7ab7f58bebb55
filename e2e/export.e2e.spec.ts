import { get, IncomingMessage } from 'node:http';
import { once } from 'node:events';
import { StoredEvent, typesOf } from '@balados/event-sourcing';
import { waitFor } from '@balados/testing';
import { base64, Device, login, register } from './support/client';
import { LogReader } from './support/log';
import { KINDS, startSystem, System } from './support/system';

const FEED = 'https://feeds.example/export.xml';
const OTHER = 'https://feeds.example/gone.xml';
const ITEM = 'guid-1,https://media.example/1.mp3';
/** More than all buffers between the service and a client that does not read. */
const PLAYS = 24_000;
const PLAYS_PER_SYNC = 3_000;

describe.each(KINDS)('an export from %s', (kind) => {
  let system: System;
  let log: LogReader;
  let ofMuch: Device;

  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api']);
    log = new LogReader(system.eventStore);
    ofMuch = await listenerOfMuch(system);
  }, 180_000);
  afterAll(async () => {
    await log?.close();
    await system?.stop();
  }, 120_000);

  it('holds the account, what stands, and every event as it is stored, and no secret', async () => {
    const credentials = await register(system.listeners);
    const phone = await login(system.listeners, credentials, 'phone');
    await phone.subscribe(FEED);
    await phone.subscribe(OTHER);
    await phone.unsubscribe(OTHER);
    await phone.play(FEED, ITEM, 90);
    await phone.save(ITEM, FEED);
    const { data: playlist } = (await phone.send('POST', '/playlists', { name: 'for the road' })).body;
    const entry = { rss_source_feed: base64(FEED), rss_source_item: base64(ITEM) };
    await phone.send('POST', `/playlists/${playlist.id}/items`, entry);
    await phone.send('PUT', '/privacy', { privacy: 'private', feed: base64(FEED) });
    const { body: personal } = await phone.send('POST', '/tokens', { name: 'car radio' });
    const stranger = await login(system.listeners, await register(system.listeners));
    await stranger.subscribe('https://feeds.example/strangers.xml');

    const answer = await phone.get('/account/export');
    expect(answer.status).toBe(200);
    expect(answer.headers.get('cache-control')).toBe('private, no-store');
    expect(answer.headers.get('content-type')).toContain('application/json');
    const { body } = answer;
    const { body: synced } = await phone.sync({});
    expect(body.account).toMatchObject({ user_id: phone.userId, username: credentials.username, issuer: null });
    expect(body.tokens.map((token: { name: string }) => token.name)).toEqual([null, 'car radio']);
    expect(body.tokens[0]).toMatchObject({ kind: 'session', device_id: 'phone', device_name: 'the phone' });
    expect(body.state).toEqual({
      ...synced.data,
      episodes: (await phone.get('/episodes/saved')).body.episodes,
      privacy_settings: (await phone.get('/privacy')).body.privacy_settings,
    });
    const stored = [];
    for (const category of ['subscriptions', 'listening', 'playlists', 'privacy'])
      for (const { position: _, ...event } of await log.read(`${category}-${phone.userId}`)) stored.push(event);
    expect(stored).toHaveLength(8);
    expect(body.events).toEqual(stored);
    const text = JSON.stringify(body);
    expect(text).not.toContain(personal.token);
    expect(text).not.toContain(phone.refreshToken);
    expect(text).not.toMatch(/hash|salt|argon2/);
    expect(text).not.toContain('strangers');
  });

  it('is for its listener alone', async () => {
    const { status } = await fetch(`${system.listeners}/api/v1/account/export`);
    expect(status).toBe(401);
  });

  it('is whole however slowly it is read, and given up when its reader goes', async () => {
    for (let left = 0; left < 6; left += 1) (await begin(ofMuch)).destroy();
    const answer = await begin(ofMuch);
    let text = '';
    for await (const piece of answer) text += String(piece);
    const { events } = JSON.parse(text) as { events: StoredEvent[] };
    expect(events.flatMap(typesOf)).toEqual(Array.from({ length: PLAYS }, () => 'PlayRecorded'));
  });

  // Of several processes one can be killed alone.
  if (kind === 'services')
    it('that fails in the middle ends the connection', async () => {
      const answer = await begin(ofMuch);
      const failed = once(answer, 'error');
      await system.processes['eventstore']!.kill();
      answer.resume();
      expect(((await failed) as [Error])[0].message).toBe('aborted');
      expect(answer.complete).toBe(false);
    });
});

async function listenerOfMuch(system: System): Promise<Device> {
  const device = await login(system.listeners, await register(system.listeners));
  for (let from = 0; from < PLAYS; from += PLAYS_PER_SYNC) {
    const play_statuses = Array.from({ length: PLAYS_PER_SYNC }, (_, index) => ({
      rss_source_feed: base64(FEED),
      rss_source_item: base64(`guid-${from + index},https://media.example/${'long/'.repeat(8)}${from + index}.mp3`),
      position: 1,
      played: false,
      updated_at: '2026-01-01T00:00:00.000Z',
    }));
    const isTaken = async (): Promise<boolean> => {
      const { status, body } = await device.sync({ play_statuses });
      return status === 200 && body.rejected.length === 0;
    };
    // So much at once may find the log busy; sent again it is completed.
    await waitFor(isTaken, { what: 'a large sync to be taken' });
  }
  return device;
}

/** The beginning of an answer, of which nothing is read. */
async function begin({ base, token }: Device): Promise<IncomingMessage> {
  const request = get(`${base}/api/v1/account/export`, { agent: false, headers: { authorization: `Bearer ${token}` } });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  expect(answer.statusCode).toBe(200);
  answer.on('error', () => undefined);
  return answer;
}
