import { typesOf } from '@balados/event-sourcing';
import { usersEvents } from '@balados/users-contracts';
import { base64, Device, login, newListener, register } from './support/client';
import { newSeed, randomFrom, report, within } from './support/limits';
import { LogReader } from './support/log';
import { KINDS, startSystem, System } from './support/system';

const PLAYS = 5_000;
/** Largest body that is taken, in bytes. */
const BODY_MAX_BYTES = 1_048_576;
/** One append carries at most this many bytes. */
const APPEND_MAX_BYTES = 512 * 1024;
/** How often a sync is cut in the middle, at most, until it has been. */
const CUTS = 10;

interface PlayEntry {
  rss_source_feed: string;
  rss_source_item: string;
  position: number;
  played: boolean;
  updated_at: string;
}

/** Plays of a year, with guids and addresses as long as those of real feeds. */
function library(random: () => number): PlayEntry[] {
  const now = Date.now();
  const digits = (count: number): string => Array.from({ length: count }, () => Math.floor(random() * 10)).join('');
  return Array.from({ length: PLAYS }, (_, index) => {
    const feed = `https://feeds.example/podcasts/${index % 120}/rss.xml`;
    const enclosure = `https://traffic.example/track/${digits(30)}/media.example/audio/${digits(40)}/episode-${index}.mp3?source=feed`;
    return {
      rss_source_feed: base64(feed),
      rss_source_item: base64(`episode-${index}-${digits(32)},${enclosure}`),
      position: Math.floor(random() * 3_600_000) / 1_000,
      played: random() < 0.5,
      updated_at: new Date(now - Math.floor(random() * 365 * 86_400_000)).toISOString(),
    };
  });
}

/** Bodies of at most BODY_MAX_BYTES each that together carry all entries. */
function bodies(entries: readonly PlayEntry[]): { play_statuses: PlayEntry[] }[] {
  const pieces: { play_statuses: PlayEntry[] }[] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const entry of entries) {
    const size = Buffer.byteLength(JSON.stringify(entry)) + 1;
    if (bytes + size > BODY_MAX_BYTES - 1_024) {
      pieces.push({ play_statuses: [] });
      bytes = 0;
    }
    pieces.at(-1)!.play_statuses.push(entry);
    bytes += size;
  }
  return pieces;
}

const byItem = (left: PlayEntry, right: PlayEntry): number => (left.rss_source_item < right.rss_source_item ? -1 : 1);

describe.each(KINDS)('a library of 5,000 plays on %s', (kind) => {
  let system: System;
  let log: LogReader;
  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api']);
    log = new LogReader(system.eventStore);
  }, 120_000);
  afterAll(async () => {
    await log?.close();
    await system?.stop();
  }, 120_000);

  it(
    'is synced in pieces, and sent again changes nothing',
    ...within(
      90,
      () => Object.values(system.processes),
      async () => {
        const entries = library(randomFrom(newSeed(`big sync on ${kind}`)));
        const listener = await newListener(system.listeners);
        const pieces = bodies(entries);
        expect(pieces.length).toBeGreaterThan(1);
        const send = async (): Promise<number> => {
          const startedAt = performance.now();
          for (const piece of pieces) {
            const { status, body } = await listener.sync(piece);
            expect([status, body.rejected]).toEqual([200, []]);
          }
          return Math.round(performance.now() - startedAt);
        };
        const firstMs = await send();
        const stored = await log.read(`listening-${listener.userId}`);
        expect(stored.flatMap(typesOf)).toHaveLength(PLAYS);
        const againMs = await send();
        expect(await log.head(`listening-${listener.userId}`)).toBe(stored.length - 1);
        expect(await log.head(`subscriptions-${listener.userId}`)).toBe(-1);

        const { body } = await listener.sync({});
        expect([body.full, body.data.play_statuses.length]).toEqual([true, PLAYS]);
        expect(body.data.play_statuses.sort(byItem)).toEqual(entries.sort(byItem));
        report(`${pieces.length} bodies took ${firstMs} ms, again ${againMs} ms`);
      },
    ),
  );

  /** Many short entries of a device with a long name, which each event carries: a body's events outweigh it many times. */
  async function talkative(): Promise<{ device: Device; entries: PlayEntry[] }> {
    const device = await login(system.listeners, await register(system.listeners), 'd'.repeat(120));
    const updatedAt = new Date().toISOString();
    const entries = Array.from({ length: 6_000 }, (_, index) => ({
      rss_source_feed: base64('http://a.example/'),
      rss_source_item: base64(`${index},`),
      position: index,
      played: false,
      updated_at: updatedAt,
    }));
    expect(bodies(entries)).toHaveLength(1);
    return { device, entries };
  }

  if (kind === 'services')
    it(
      'goes in more than one append when it is large, and is completed by sending it again when command-api died in the middle',
      ...within(
        90,
        () => Object.values(system.processes),
        async () => {
          const api = system.processes['command-api']!;
          let cut = 0;
          for (let attempt = 0; cut === 0; attempt += 1) {
            if (attempt === CUTS) throw new Error(`in ${CUTS} attempts no sync was cut in the middle`);
            const { device, entries } = await talkative();
            const stream = `listening-${device.userId}`;
            const first = log.firstEvent(stream);
            const sync = device.sync({ play_statuses: entries }).catch(() => undefined);
            await first;
            await api.kill();
            const answer = await sync;
            await api.start();
            const left = await log.read(stream);
            const told = left.flatMap((event) => usersEvents.decode(event)).length;
            if (answer === undefined && told < entries.length) {
              cut = told;
              // Whole appends, none of more than an append may carry; and all of it together is more.
              const bytes = Buffer.byteLength(JSON.stringify(left.map(({ data, metadata }) => ({ data, metadata }))));
              expect((bytes / told) * entries.length).toBeGreaterThan(APPEND_MAX_BYTES);
            }

            const { status, body } = await device.sync({ play_statuses: entries });
            expect([status, body.rejected, body.data.play_statuses.length]).toEqual([200, [], entries.length]);
            const events = (await log.read(stream)).flatMap((event) => usersEvents.decode(event));
            const positions = events.map(({ data }) => (data as { position?: number }).position);
            expect(positions).toEqual(entries.map(({ position }) => position));
          }
          report(`cut after ${cut} of 6,000 events, then completed`);
        },
      ),
    );
});
