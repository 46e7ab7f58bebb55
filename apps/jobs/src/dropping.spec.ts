import { EventMetadata } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { openListenerStreams } from '@balados/users-write';
import { dropContent } from './dropping';

const DAY_MS = 86_400_000;
const NOW = Date.UTC(2026, 5, 1);
const USER = '00000000-0000-4000-8000-00000000000a';
const SOURCES = { a: 'https://feeds.example/a', b: 'https://feeds.example/b', c: 'https://feeds.example/c' };

/** Podcasts that are subscribed to and then left, in this order, each recorded by a clock so many days behind or ahead of `NOW`. */
async function leftAt(clocks: Partial<Record<keyof typeof SOURCES, number>>): Promise<string[]> {
  const streams = openListenerStreams(new InMemoryEventStore(() => Promise.resolve()), 0);
  const at = (days: number): EventMetadata => ({
    recordedAt: new Date(NOW + days * DAY_MS).toISOString(),
    correlationId: 'test',
  });
  for (const [name, days] of Object.entries(clocks)) {
    const feed = SOURCES[name as keyof typeof SOURCES];
    const data = { feed, sourceId: name, now: NOW };
    for (const type of ['Subscribe', 'Unsubscribe'] as const)
      await streams.subscriptions.handle(USER, { type, data }, at(days), () => undefined);
  }
  const dropped = { endedBefore: NOW - 45 * DAY_MS, now: NOW, metadata: at(0) };
  await dropContent(streams, { category: 'subscriptions', userId: USER }, dropped);
  return streams.subscriptions.query(USER, ({ state }) =>
    [...state.feeds.values()].flatMap(({ sourceId }) => sourceId ?? []),
  );
}

it('drops what ended long ago, and leaves what ended later', async () => {
  expect(await leftAt({ a: -60, b: -50, c: -44 })).toEqual(['c']);
});

it('drops nothing of what ended yesterday because a clock was years behind when something came after it', async () => {
  expect(await leftAt({ a: -60, b: -1, c: -2_000 })).toEqual(['b', 'c']);
});

it('is not kept from it by a clock that was a year ahead, and does not take what it dated for old', async () => {
  expect(await leftAt({ a: 365, b: -50, c: -44 })).toEqual(['c']);
  expect(await leftAt({ a: -50, b: -44, c: 365 })).toEqual(['b', 'c']);
});
