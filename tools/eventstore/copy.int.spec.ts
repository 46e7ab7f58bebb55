import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { resolve } from 'node:path';
import { checkpointOf, NO_EVENTS, streamOf, takeCheckpoint } from '@balados/event-sourcing';
import { openEventStore } from '@balados/platform-stores';
import { waitFor } from '@balados/testing';
import { compaction, USERS_CATEGORIES, usersEvents, WHOLE_HISTORY } from '@balados/users-contracts';
import { PlaylistsCommand } from '@balados/users-domain';
import { openListenerStreams } from '@balados/users-write';
import { connect, disconnect } from '../bench/raw-client';
import { startStores } from '../bench/systems';
import { Category, Habits } from '../year/habits';
import { copy, CopyDiffers, Log } from './copy';
import { readLog } from './log';

const LONG = process.env.LONG_TESTS === '1';
/** At least so many events, of one listener's habits, some 500 a day. */
const EVENTS = LONG ? 100_000 : 5_000;
const TIME_LIMIT_MS = LONG ? 900_000 : 120_000;
const FIRST = Date.UTC(2026, 0, 1);
const DAY_MS = 86_400_000;
const NOTED = { reading: noop, copying: noop, comparing: noop, done: noop };
function noop(): void {}

type Opened = Log & { url: string };
let source: Opened;
let target: Opened;
const opened: { close(): Promise<void> }[] = [];

async function open(): Promise<Opened> {
  const { eventStore: url, stop } = await startStores();
  const store = openEventStore({ url });
  const client = connect(url);
  opened.push({
    async close() {
      await store.close();
      await disconnect(client);
      await stop();
    },
  });
  return { url, store, client };
}

beforeEach(async () => {
  source = await open();
  target = await open();
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((each) => each.close()));
});

const metadata = { recordedAt: new Date(FIRST).toISOString(), correlationId: 'test' };
const take = (stream: string) =>
  takeCheckpoint(source.store, stream, { codec: usersEvents, compaction: compaction(), metadata });

/** A listener's habits, day after day for as long as `goesOn`, in the order in which they happen. @returns how many events that are */
async function live(userId: string, nth: number, goesOn: (day: number, events: number) => boolean): Promise<number> {
  const habits = new Habits(nth);
  const heads = new Map<string, number>();
  let count = 0;
  for (let day = 0; goesOn(day, count); day += 1)
    for (const [category, happenings] of Object.entries(habits.day(FIRST + day * DAY_MS))) {
      const stream = streamOf(category as Category, userId);
      const events = happenings.map(({ at, event }) =>
        usersEvents.encode(event, { ...metadata, recordedAt: new Date(at).toISOString() }, randomUUID()),
      );
      count += events.length;
      for (let next = 0; next < events.length; next += 200)
        heads.set(
          stream,
          await source.store.append(stream, heads.get(stream) ?? NO_EVENTS, events.slice(next, next + 200)),
        );
    }
  return count;
}

const days = (count: number) => (day: number) => day < count;

/** What the deciders make of a listener's streams, but for where in a stream it was said. */
async function statesOf({ store }: Log, userId: string): Promise<string[]> {
  const streams = openListenerStreams(store, 1_000_000);
  // Revisions, and what came last, are of what was told, not of what stands.
  const plain = (key: string, value: unknown): unknown =>
    key === 'recent' ? undefined : value instanceof Map || value instanceof Set ? [...value] : value;
  return Promise.all(
    ([streams.subscriptions, streams.listening, streams.playlists, streams.privacy] as const).map((handler) =>
      handler.query(userId, ({ state }) => JSON.stringify(state, plain).replaceAll(/"\w*[rR]evision":-?\d+/g, '')),
    ),
  );
}

async function eventsOf({ client }: Log): Promise<string[]> {
  const events: string[] = [];
  for await (const event of readLog(client))
    if ('id' in event)
      events.push(JSON.stringify([event.stream, event.revision, event.id, event.type, event.data, event.metadata]));
  return events.sort();
}

it(
  'a log whose streams were cut says the same in another store, where they begin anew',
  async () => {
    const [whole, cut, begun, gone, erased] = Array.from({ length: 5 }, () => randomUUID()) as [
      string,
      string,
      string,
      string,
      string,
    ];
    for (const [nth, userId] of [whole, cut, begun, gone, erased].entries()) await live(userId, nth + 8, days(4));
    const listeningOfCut = streamOf('listening', cut);
    for (const category of USERS_CATEGORIES) {
      await take(streamOf(category, cut));
      // One part is enough for so little.
      const head = await source.store.head(streamOf(category, cut));
      if (head >= 0) await source.store.truncateBefore(streamOf(category, cut), head);
    }
    await openListenerStreams(source.store, 0).listening.handle(
      cut,
      {
        type: 'RecordPlay',
        data: { feed: 'https://f.example/', item: 'g,', position: 7, played: false, now: Date.now() },
      },
      metadata,
      noop,
    );
    // Whole, and not cut yet; and one of which only a first part was written.
    await take(streamOf('listening', begun));
    const [saved] = checkpointOf(
      [
        {
          type: 'EpisodeSaved',
          data: { feed: 'https://f.example/', item: 'g,', savedAt: metadata.recordedAt },
          metadata,
          revision: 0,
        },
      ],
      usersEvents,
      metadata,
    );
    const part = { ...saved!.data, of: 2 };
    const head = await source.store.head(streamOf('listening', whole));
    await source.store.append(streamOf('listening', whole), head, [
      { id: randomUUID(), type: 'CheckpointTaken', data: part, metadata: { version: 1, correlationId: 'test' } },
    ]);
    for (const category of USERS_CATEGORIES)
      await source.store.tombstone(streamOf(category, gone), await source.store.head(streamOf(category, gone)));
    await openListenerStreams(source.store, 0).listening.handle(
      erased,
      { type: 'EraseHistory', data: { ...WHOLE_HISTORY, requestedAt: FIRST + 20 * DAY_MS } },
      metadata,
      noop,
    );
    const marker = await source.store.head(streamOf('listening', erased));
    await source.store.truncateBefore(streamOf('listening', erased), marker);

    const { events, appended, deletedStreams } = await copy(source, target, NOTED);

    expect(events).toBe(appended);
    expect(deletedStreams).toBe(USERS_CATEGORIES.length);
    for (const userId of [whole, cut, begun, erased])
      expect(await statesOf(target, userId)).toEqual(await statesOf(source, userId));
    await expect(target.store.head(streamOf('listening', gone))).rejects.toThrow();
    const copied = (await eventsOf(target)).join('\n');
    expect(copied).toContain(whole);
    expect(copied).not.toContain(gone);
    expect(copied.match(new RegExp(`listening-${erased}`, 'g'))).toHaveLength(1);
    for await (const first of target.store.read(listeningOfCut)) {
      expect(first).toMatchObject({ revision: 0, type: expect.not.stringMatching('CheckpointTaken') });
      break;
    }
    // Again: nothing is left to do.
    expect(await copy(source, target, NOTED)).toMatchObject({ appended: 0, events });
  },
  TIME_LIMIT_MS,
);

it(
  'killed in the middle it goes on where it was, and the two logs are equal, event by event',
  async () => {
    const userId = randomUUID();
    const lived = await live(userId, 0, (_, events) => events < EVENTS);
    // Nearly all of it.
    const stream = streamOf('listening', userId);
    const middle = (await source.store.head(stream)) / 2;
    const main = resolve(__dirname, '../run.mjs');
    const run = () =>
      spawn(process.execPath, [main, 'eventstore', 'copy', '--from', source.url, '--to', target.url], {
        stdio: 'pipe',
      });
    const killed = run();
    await waitFor(async () => (await target.store.head(stream)) > middle, {
      what: 'half of it to be copied',
      timeoutMs: TIME_LIMIT_MS,
    });
    killed.kill('SIGKILL');
    await new Promise((ended) => killed.once('exit', ended));
    const whole = await eventsOf(source);
    const copied = await eventsOf(target);
    expect(whole).toHaveLength(lived);
    expect(copied.length).toBeLessThan(whole.length);
    const startedAt = performance.now();

    const again = run();
    let said = '';
    again.stdout.on('data', (text) => (said += String(text)));
    const status = await new Promise((ended) => again.once('exit', ended));

    expect(status).toBe(0);
    expect(said).toMatch(/^Equal: /m);
    expect(await eventsOf(target)).toEqual(whole);
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0);
    process.stderr.write(
      `      of ${lived} events ${copied.length} were there when it was killed; the rest took ${seconds} s\n`,
    );
  },
  TIME_LIMIT_MS,
);

it('what was dropped there is dropped here and nothing else, whatever its revisions are', async () => {
  const userId = randomUUID();
  const [long, gone, late] = [randomUUID(), randomUUID(), randomUUID()] as const;
  const sayTo = ({ store }: Log, command: PlaylistsCommand) =>
    openListenerStreams(store, 0).playlists.handle(userId, command, metadata, noop);
  const namesIn = ({ store }: Log) =>
    openListenerStreams(store, 0).playlists.query(userId, ({ state }) =>
      Object.fromEntries([...state.playlists.values()].map(({ playlistId, name }) => [playlistId, name])),
    );
  const create = (playlistId: string) =>
    sayTo(source, {
      type: 'CreatePlaylist',
      data: { playlistId, name: 'a name', description: null, now: FIRST },
    });
  for (const playlistId of [long, gone, late]) await create(playlistId);
  // Many events of which the checkpoint will need one.
  for (let nth = 0; nth < 20; nth += 1)
    await sayTo(source, { type: 'ChangePlaylist', data: { playlistId: long, name: `name ${nth}`, now: FIRST + nth } });
  await sayTo(source, { type: 'DeletePlaylist', data: { playlistId: gone, now: FIRST } });
  const stream = streamOf('playlists', userId);
  const upTo = await source.store.head(stream);
  await sayTo(source, { type: 'DeletePlaylist', data: { playlistId: late, now: FIRST } });
  await sayTo(source, { type: 'DropContent', data: { upTo } });
  await take(stream);
  await source.store.truncateBefore(stream, await source.store.head(stream));

  await copy(source, target, NOTED);

  expect(await namesIn(source)).toEqual({ [long]: 'name 19', [gone]: '', [late]: 'a name' });
  expect(await namesIn(target)).toEqual(await namesIn(source));
  // What ends here is dropped in its turn, by the revisions here.
  await sayTo(target, { type: 'DeletePlaylist', data: { playlistId: long, now: FIRST + DAY_MS } });
  expect(await namesIn(target)).toMatchObject({ [long]: 'name 19' });
  await sayTo(target, { type: 'DropContent', data: { upTo: await target.store.head(stream) } });
  expect(await namesIn(target)).toEqual({ [long]: '', [gone]: '', [late]: '' });
});

it('is not told equal when the target holds something else', async () => {
  const userId = randomUUID();
  await live(userId, 20, days(2));
  const other = usersEvents.encode(
    { type: 'PrivacyChanged', data: { feed: null, item: null, privacy: 'public', changedAt: metadata.recordedAt } },
    metadata,
    randomUUID(),
  );
  await target.store.append(streamOf('privacy', randomUUID()), NO_EVENTS, [other]);
  const before = await eventsOf(target);
  await expect(copy(source, target, NOTED)).rejects.toThrow(CopyDiffers);
  // Nor is anything written to it.
  expect(await eventsOf(target)).toEqual(before);
  await target.store.append(
    streamOf('subscriptions', userId),
    await target.store.head(streamOf('subscriptions', userId)),
    [{ ...other, id: randomUUID() }],
  );
  await expect(copy(source, target, NOTED)).rejects.toThrow(CopyDiffers);
});
