import { EventMetadata, StoredEvent } from '@balados/event-sourcing';
import { USERS_CATEGORIES, UsersEvent, usersEvents } from './events';

const metadata: EventMetadata = {
  recordedAt: '2026-01-01T00:00:00.000Z',
  correlationId: 'c',
  deviceId: 'd',
  deviceName: 'Phone',
};

/** As stored from the first day on: what is written here must be readable for ever. */
const stored: Record<UsersEvent['type'], string> = {
  PodcastSubscribed:
    '{"feed":"https://feeds.example/a","sourceId":"7","subscribedAt":"2026-01-01T00:00:00.123Z","unsubscribedAt":null}',
  PodcastUnsubscribed:
    '{"feed":"https://feeds.example/a","sourceId":null,"subscribedAt":null,"unsubscribedAt":"2026-01-01T00:00:00.123Z"}',
  PlayRecorded:
    '{"feed":"https://feeds.example/a","item":"g,https://cdn.example/a.mp3","position":12.5,"played":false,"updatedAt":"2026-01-01T00:00:00.123Z"}',
  PositionUpdated:
    '{"feed":"https://feeds.example/a","item":"g,","position":0,"played":true,"updatedAt":"2026-01-01T00:00:00.123Z"}',
  PlaylistCreated:
    '{"playlistId":"5b2c1a9e-0000-4000-8000-000000000001","name":"Walks","description":null,"updatedAt":"2026-01-01T00:00:00.123Z","deletedAt":null}',
  PlaylistChanged:
    '{"playlistId":"5b2c1a9e-0000-4000-8000-000000000001","name":"Walks","description":"slow","updatedAt":"2026-01-01T00:00:00.124Z","deletedAt":null}',
  PlaylistDeleted:
    '{"playlistId":"5b2c1a9e-0000-4000-8000-000000000001","name":"Walks","description":null,"updatedAt":"2026-01-01T00:00:00.125Z","deletedAt":"2026-01-01T00:00:00.125Z"}',
  PlaylistItemAdded:
    '{"playlistId":"5b2c1a9e-0000-4000-8000-000000000001","feed":"https://feeds.example/a","item":"g,","itemTitle":"One","feedTitle":null,"createdAt":"2026-01-01T00:00:00.123Z","updatedAt":"2026-01-01T00:00:00.123Z","deletedAt":null}',
  PlaylistItemRemoved:
    '{"playlistId":"5b2c1a9e-0000-4000-8000-000000000001","feed":"https://feeds.example/a","item":"g,","itemTitle":null,"feedTitle":"A","createdAt":"2026-01-01T00:00:00.123Z","updatedAt":"2026-01-01T00:00:00.124Z","deletedAt":"2026-01-01T00:00:00.124Z"}',
  PlaylistReordered:
    '{"playlistId":"5b2c1a9e-0000-4000-8000-000000000001","items":["f3a1c2d4-0000-4000-8000-000000000002"],"orderedAt":"2026-01-01T00:00:00.123Z"}',
  EpisodeSaved:
    '{"feed":"https://feeds.example/a","item":"g,https://cdn.example/a.mp3","savedAt":"2026-01-01T00:00:00.123Z"}',
  EpisodeUnsaved:
    '{"feed":"https://feeds.example/a","item":"g,https://cdn.example/a.mp3","unsavedAt":"2026-01-01T00:00:00.123Z"}',
  EpisodeShared: '{"feed":"https://feeds.example/a","item":"g,","sharedAt":"2026-01-01T00:00:00.123Z"}',
  EpisodeActionReported:
    '{"feed":"https://feeds.example/a","item":"g,https://cdn.example/a.mp3","action":"play","device":"phone","at":"2026-01-01T00:00:00.000Z","started":0,"position":90,"total":1800}',
  PrivacyChanged:
    '{"feed":"https://feeds.example/a","item":null,"privacy":"private","changedAt":"2026-01-01T00:00:00.123Z"}',
  PrivacyReset: '{"feed":null,"item":null,"changedAt":"2026-01-01T00:00:00.123Z"}',
  HistoryErased:
    '{"scope":"episode","feedId":"5b2c1a9e-0000-4000-8000-000000000001","episodeId":"5b2c1a9e-0000-4000-8000-000000000002","requestedAt":"2026-01-01T00:00:00.123Z","before":"2026-01-02T00:00:00.123Z"}',
  ContentDropped: '{"upTo":7}',
};

const versionOf = (type: string): number => usersEvents.declarations[type as UsersEvent['type']].version;

const asStored = (type: string, data: string, version = versionOf(type)): StoredEvent => ({
  id: 'e',
  stream: 'listening-a',
  revision: 3,
  position: 1n,
  type,
  data: JSON.parse(data),
  metadata: { version, ...metadata },
});

describe('the events of a listener', () => {
  it('are these, and a name that was once stored stays', () => {
    expect(Object.keys(usersEvents.declarations)).toEqual(Object.keys(stored));
    expect(USERS_CATEGORIES).toEqual(['subscriptions', 'listening', 'playlists', 'privacy']);
  });

  it.each(Object.entries(stored))('%s is read as it was stored, and written the same', (type, data) => {
    const [event] = usersEvents.decode(asStored(type, data));
    expect(event).toEqual({ type, data: JSON.parse(data), metadata, revision: 3 });
    const { data: written, metadata: meta } = usersEvents.encode(event!, metadata, 'e');
    expect(JSON.stringify(written)).toBe(data);
    expect(meta).toEqual({ version: versionOf(type), ...metadata });
  });

  it.each(Object.entries(stored))('%s is not read without any one of its fields', (type, data) => {
    for (const field of Object.keys(JSON.parse(data))) {
      const { [field]: _, ...rest } = JSON.parse(data);
      expect(() => usersEvents.decode(asStored(type, JSON.stringify(rest)))).toThrow(field);
    }
  });

  it('an erasure of before there were parts is one of all', () => {
    const data = '{"scope":"history","requestedAt":"2026-01-01T00:00:00.123Z","before":"2026-01-02T00:00:00.123Z"}';
    expect(usersEvents.decode(asStored('HistoryErased', data, 1))).toMatchObject([
      { data: { ...JSON.parse(data), feedId: null, episodeId: null } },
    ]);
  });
});
