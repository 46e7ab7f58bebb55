import { randomUUID } from 'node:crypto';
import { setImmediate as turn } from 'node:timers/promises';
import { NewEvent, NO_EVENTS, parseStream, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { ServerSentEvents, waitFor } from '@balados/testing';
import { USERS_CATEGORIES } from '@balados/users-contracts';
import { openListenerStreams } from '@balados/users-write';
import fc from 'fast-check';
import { Category, Change, CHANGE_KINDS, ChangeFeed, KINDS_OF } from './change-feed';
import { decodeChangeToken, encodeChangeToken } from './change-token';
import { beginEvents, EventStream, HEARTBEAT_MS, Revisions, SLOW_READER_MS } from './event-stream';

const TYPES: Record<Category, readonly string[]> = {
  subscriptions: ['PodcastSubscribed', 'PodcastUnsubscribed', 'HistoryErased', 'ContentDropped'],
  listening: ['PlayRecorded', 'PositionUpdated', 'EpisodeSaved', 'EpisodeShared', 'HistoryErased', 'CheckpointTaken'],
  playlists: ['PlaylistCreated', 'PlaylistItemAdded'],
  privacy: ['PrivacyChanged'],
};
/** What a device must hear of by each, in words of this test's own. */
const MUST_TELL: Record<string, readonly string[]> = {
  PodcastSubscribed: ['subscriptions'],
  PodcastUnsubscribed: ['subscriptions'],
  PlayRecorded: ['plays'],
  PositionUpdated: ['plays'],
  EpisodeSaved: ['saves'],
  EpisodeShared: ['saves'],
  PlaylistCreated: ['playlists'],
  PlaylistItemAdded: ['playlists'],
  PrivacyChanged: ['privacy'],
  ContentDropped: [],
  CheckpointTaken: [],
};
const mustTell = (category: Category, type: string): readonly string[] => MUST_TELL[type] ?? KINDS_OF[category];

const silent = { error: () => undefined };
const none = (): Revisions => Object.fromEntries(USERS_CATEGORIES.map((each) => [each, NO_EVENTS])) as Revisions;
const eventOf = (type: string, deviceId?: string): NewEvent => ({
  id: randomUUID(),
  type,
  data: {},
  metadata: deviceId === undefined ? {} : { deviceId },
});

/** A log, copies of a service on it, and one device of one listener that goes from one to the other. */
class World {
  readonly store = new InMemoryEventStore();
  readonly user = randomUUID();
  private readonly streams = openListenerStreams(this.store, 1_048_576);
  readonly copies = [new ChangeFeed(this.store, silent), new ChangeFeed(this.store, silent)];
  /** For each kind, how many events the log had of it when the device last heard. */
  readonly heard = new Map<string, number>();
  private sent = new ServerSentEvents();
  private connection: { stream: EventStream; unwatch: () => void } | undefined;
  private reading: Promise<void> = Promise.resolve();
  /** Characters of the next piece that still arrive before the connection breaks. */
  private breaksAfter: number | undefined;

  async write(category: Category, type: string, user = this.user): Promise<void> {
    const stream = streamOf(category, user);
    await this.store.append(stream, await this.store.head(stream), [eventOf(type)]);
  }

  countOf(kind: string): number {
    return this.store.log.filter(({ stream, type }) => {
      const of = parseStream(stream)!;
      return of.userId === this.user && mustTell(of.category as Category, type).includes(kind);
    }).length;
  }

  async connect(copy: number): Promise<void> {
    await this.disconnect();
    const stream = new EventStream(() => undefined);
    const { lastId } = this.sent;
    const parts = { feed: this.copies[copy]!, streams: this.streams };
    const unwatch = await beginEvents(parts, stream, { userId: this.user, since: lastId });
    // What a device does that comes for the first time: it fetches everything once it is connected.
    if (!lastId) for (const kind of CHANGE_KINDS) this.heard.set(kind, this.countOf(kind));
    this.connection = { stream, unwatch };
    this.reading = this.read(stream);
  }

  private async read(stream: EventStream): Promise<void> {
    for await (const text of stream.text as AsyncIterable<string>) {
      const isLast = this.breaksAfter !== undefined;
      for (const { event } of this.sent.read(isLast ? text.slice(0, this.breaksAfter) : text)) {
        expect(event).not.toBe('reset');
        this.heard.set(event, this.countOf(event));
      }
      if (isLast) return;
    }
  }

  get isConnected(): boolean {
    return this.connection !== undefined && this.breaksAfter === undefined;
  }

  breakWithin(characters: number): void {
    if (this.connection) this.breaksAfter = characters;
  }

  async disconnect(): Promise<void> {
    this.connection?.unwatch();
    this.connection?.stream.text.destroy();
    await this.reading.catch(() => undefined);
    this.connection = undefined;
    this.breaksAfter = undefined;
    this.sent.end();
  }

  missed = (): string[] => CHANGE_KINDS.filter((kind) => (this.heard.get(kind) ?? 0) < this.countOf(kind));
}

type Step =
  | { do: 'write'; category: Category; type: string; isOthers: boolean }
  | { do: 'connect'; copy: number }
  | { do: 'break'; characters: number }
  | { do: 'disconnect' }
  | { do: 'wait'; turns: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.constantFrom(...USERS_CATEGORIES).chain((category) =>
      fc.record({
        do: fc.constant('write' as const),
        category: fc.constant(category),
        type: fc.constantFrom(...TYPES[category]),
        isOthers: fc.boolean(),
      }),
    ),
  },
  fc.record({ do: fc.constant('connect' as const), copy: fc.nat(1) }),
  fc.record({ do: fc.constant('break' as const), characters: fc.nat(500) }),
  fc.record({ do: fc.constant('disconnect' as const) }),
  { weight: 2, arbitrary: fc.record({ do: fc.constant('wait' as const), turns: fc.nat(6) }) },
);

it('whatever is written, wherever it breaks and whichever copy it goes to, a device misses nothing', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const world = new World();
      await world.connect(0);
      const writes: Promise<void>[] = [];
      for (const each of steps) {
        // One after another to a stream, beside whatever else goes on.
        if (each.do === 'write')
          writes.push(
            (writes.at(-1) ?? Promise.resolve()).then(() =>
              world.write(each.category, each.type, each.isOthers ? randomUUID() : undefined),
            ),
          );
        else if (each.do === 'connect') await world.connect(each.copy);
        else if (each.do === 'break') world.breakWithin(each.characters);
        else if (each.do === 'disconnect') await world.disconnect();
        else for (let turns = 0; turns < each.turns; turns += 1) await turn();
      }
      await Promise.all(writes);
      // Who is still connected must have been told.
      if (!world.isConnected) await world.connect(1);
      await waitFor(() => world.missed().length === 0, {
        what: 'the device to have heard of everything',
        timeoutMs: 2_000,
      });
      await world.disconnect();
    }),
    { numRuns: 300 },
  );
});

describe('a stream', () => {
  const owner = { store: 'this', user: 'ada' };
  const at = (revisions: Partial<Revisions>): Revisions => ({ ...none(), ...revisions });
  const change = (category: Category, revision: number, deviceId: string | null = null): Change => ({
    category,
    revision,
    kinds: KINDS_OF[category],
    deviceId,
  });
  const opened = () => {
    const state = { cuts: 0, ended: false, events: [] as string[], text: '' };
    const stream = new EventStream(() => (state.cuts += 1));
    const sent = new ServerSentEvents();
    stream.text.on('data', (text: string) => {
      state.text += text;
      state.events.push(...sent.read(text).map(({ event, data }) => `${event} ${data}`));
    });
    stream.text.once('end', () => (state.ended = true));
    return { stream, sent, state };
  };
  const tokenOf = (id: string) => decodeChangeToken(id);
  const idOf = (token: object) => encodeChangeToken({ ...owner, ...none(), ...token });

  it('tells at first what to come again with, and no more to who knows all', async () => {
    const { stream, sent, state } = opened();
    stream.begin(owner, at({ listening: 7 }));
    await turn();
    expect([state.events, sent.retryMs, tokenOf(sent.lastId)]).toEqual([
      [],
      1_000,
      { ...owner, ...at({ listening: 7 }) },
    ]);
  });

  it('tells of what came before it began only what is beyond the heads', async () => {
    const { stream, sent, state } = opened();
    stream.changed(change('subscriptions', 3));
    stream.changed(change('playlists', 5));
    stream.begin(owner, at({ subscriptions: 3, playlists: 4 }));
    await turn();
    expect([state.events, tokenOf(sent.lastId)]).toEqual([
      ['playlists {"device_id":null}'],
      { ...owner, ...at({ subscriptions: 3, playlists: 5 }) },
    ]);
  });

  it('tells of what came since the event that was told last', async () => {
    const { stream, state } = opened();
    const since = tokenOf(idOf({ subscriptions: 3, listening: 2 }));
    stream.begin(owner, at({ subscriptions: 3, listening: 3, privacy: 0 }), since);
    await turn();
    expect(state.events.sort()).toEqual([
      'plays {"device_id":null}',
      'privacy {"device_id":null}',
      'saves {"device_id":null}',
    ]);
  });

  it('takes the token of a sync, which knows nothing of privacy', async () => {
    const { stream, state } = opened();
    const token = { store: 'this', user: 'ada', subscriptions: 1, listening: 2, playlists: -1, shift: 60_000 };
    const since = decodeChangeToken(Buffer.from(JSON.stringify(token)).toString('base64url'));
    stream.begin(owner, at({ subscriptions: 1, listening: 2, privacy: 4 }), since);
    await turn();
    expect(state.events).toEqual(['privacy {"device_id":null}']);
  });

  it.each([
    ['another store', { store: 'that' }],
    ['another listener', { user: 'bob' }],
    ['a log that came further', { listening: 8 }],
    ['nothing that can be read', 'unreadable' as const],
  ])('has a device begin anew that was told of %s', async (_what, since) => {
    const { stream, sent, state } = opened();
    const heads = at({ listening: 7, subscriptions: 1 });
    stream.begin(owner, heads, typeof since === 'string' ? since : tokenOf(idOf(since)));
    await turn();
    expect([state.events, tokenOf(sent.lastId)]).toEqual([['reset {"device_id":null}'], { ...owner, ...heads }]);
  });

  it('names the device that did it, unless there were several', async () => {
    const { stream, state } = opened();
    stream.begin(owner, none());
    await turn();
    stream.changed(change('subscriptions', 0, 'phone'));
    await turn();
    stream.changed(change('privacy', 0, 'phone'));
    await turn();
    expect(state.events).toEqual(['subscriptions {"device_id":"phone"}', 'privacy {"device_id":"phone"}']);
    stream.text.pause();
    for (const [revision, device] of ['phone', 'tablet', 'phone'].entries())
      stream.changed(change('playlists', revision, device));
    stream.text.resume();
    await turn();
    expect(state.events.slice(2).at(-1)).toBe('playlists {"device_id":null}');
  });

  it('wherever several events break off, tells those again that had not come', async () => {
    const open = (since: string) => {
      const { stream, state } = opened();
      const heads = at({ subscriptions: 4, playlists: 4, privacy: 4 });
      stream.begin(owner, heads, tokenOf(since));
      return state;
    };
    const whole = open(idOf({}));
    await turn();
    expect(whole.events).toHaveLength(3);
    for (let length = 0; length <= whole.text.length; length += 1) {
      const broken = new ServerSentEvents();
      const told = broken.read(whole.text.slice(0, length)).map(({ event, data }) => `${event} ${data}`);
      const again = open(broken.lastId || idOf({}));
      await turn();
      expect(new Set([...told, ...again.events])).toEqual(new Set(whole.events));
    }
  });

  it('holds no more for who does not read than that each kind has changed', async () => {
    const stream = new EventStream(() => undefined);
    stream.text.read(0);
    stream.begin(owner, none());
    for (let revision = 0; revision < 10_000; revision += 1)
      for (const category of USERS_CATEGORIES) stream.changed(change(category, revision, 'phone'));
    await turn();
    expect(stream.text.readableLength).toBeLessThan(2_000);
    let text = '';
    stream.text.on('data', (piece: string) => (text += piece));
    await turn();
    const sent = new ServerSentEvents();
    const events = sent.read(text).map(({ event }) => event);
    expect(new Set(events)).toEqual(new Set(CHANGE_KINDS));
    expect(events.length).toBeLessThanOrEqual(2 * CHANGE_KINDS.length);
    expect(tokenOf(sent.lastId)).toMatchObject({ subscriptions: 9_999, privacy: 9_999 });
  });

  describe('as time goes by', () => {
    beforeEach(() => void jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask'] }));
    afterEach(() => void jest.useRealTimers());

    it('is heard of in silence, and ends in order', async () => {
      const { stream, state } = opened();
      stream.begin(owner, none());
      await turn();
      const told = state.text.length;
      jest.advanceTimersByTime(HEARTBEAT_MS - 1);
      stream.beat();
      await turn();
      expect(state.text.slice(told)).toBe('');
      jest.advanceTimersByTime(1);
      stream.beat();
      await turn();
      expect(state.text.slice(told)).toBe(':\n\n');
      stream.end(1_234);
      stream.changed(change('privacy', 1));
      await turn();
      expect([state.text.slice(told), state.ended]).toEqual([':\n\nretry: 1234\n\n', true]);
    });

    it('is cut off who does not read', async () => {
      let cuts = 0;
      const stream = new EventStream(() => (cuts += 1));
      stream.text.read(0);
      stream.begin(owner, none());
      await turn();
      jest.advanceTimersByTime(SLOW_READER_MS - 1);
      stream.beat();
      expect(cuts).toBe(0);
      jest.advanceTimersByTime(1);
      stream.beat();
      expect(cuts).toBe(1);
    });
  });
});

describe('the feed of changes', () => {
  class CountingStore extends InMemoryEventStore {
    followed = 0;
    failing = false;
    override async *subscribe(options: Parameters<InMemoryEventStore['subscribe']>[0]) {
      this.followed += 1;
      try {
        if (this.failing) throw new Error('the store is gone');
        yield* super.subscribe(options);
      } finally {
        this.followed -= 1;
      }
    }
  }
  const watcher = () => {
    const told = { changes: [] as Change[], lost: 0 };
    return { told, changed: (change: Change) => void told.changes.push(change), lost: () => void (told.lost += 1) };
  };

  it('follows the log once for all, and no longer than somebody listens', async () => {
    const store = new CountingStore();
    const feed = new ChangeFeed(store, silent);
    expect(store.followed).toBe(0);
    const [ada, again, bob] = [watcher(), watcher(), watcher()];
    const ends = [await feed.watch('ada', ada), await feed.watch('ada', again), await feed.watch('bob', bob)];
    await store.append('playlists-ada', NO_EVENTS, [eventOf('PlaylistCreated', 'phone')]);
    await store.append('strangers-ada', NO_EVENTS, [eventOf('PlaylistCreated')]);
    await waitFor(() => again.told.changes.length > 0, { what: 'a change' });
    const change: Change = { category: 'playlists', revision: 0, kinds: ['playlists'], deviceId: 'phone' };
    expect([ada.told, again.told, bob.told].map(({ changes }) => changes)).toEqual([[change], [change], []]);
    expect(store.followed).toBe(1);
    ends[0]!();
    ends[1]!();
    await turn();
    expect(store.followed).toBe(1);
    ends[2]!();
    await waitFor(() => store.followed === 0, { what: 'nobody to follow' });
    // And begins again.
    const later = watcher();
    const end = await feed.watch('ada', later);
    await store.append('playlists-ada', 0, [eventOf('PlaylistCreated')]);
    await waitFor(() => later.told.changes.length > 0, { what: 'a change' });
    expect(later.told.changes.map(({ revision }) => revision)).toEqual([1]);
    end();
  });

  it('says so when it cannot go on', async () => {
    const store = new CountingStore();
    store.failing = true;
    const feed = new ChangeFeed(store, silent);
    const ada = watcher();
    const end = await feed.watch('ada', ada);
    await waitFor(() => ada.told.lost === 1, { what: 'the loss' });
    end();
    store.failing = false;
    const again = watcher();
    const endAgain = await feed.watch('ada', again);
    await store.append('privacy-ada', NO_EVENTS, [eventOf('PrivacyChanged')]);
    await waitFor(() => again.told.changes.length > 0, { what: 'a change' });
    endAgain();
  });
});
