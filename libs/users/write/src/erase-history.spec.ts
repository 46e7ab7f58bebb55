import { randomUUID } from 'node:crypto';
import { NO_EVENTS, streamOf } from '@balados/event-sourcing';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { ERASED_PARTS_MAX, partOf, usersEvents, WHOLE_HISTORY } from '@balados/users-contracts';
import { ChooseErasure, ChooseErasureHandler } from './erase-history';
import { openListenerStreams } from './listener-streams';

const FEED = 'https://feeds.example/a.xml';
const OTHER_FEED = 'https://feeds.example/b.xml';
const item = (n: number) => `guid-${n},https://media.example/${n}.mp3`;
const TIME = '2026-01-01T00:00:00.000Z';

it('refuses another part when as many were erased as can be, but not one of them again, their podcast, or all', async () => {
  const store = new InMemoryEventStore(() => Promise.resolve());
  const userId = randomUUID();
  const choose = (feed?: string, one?: string) =>
    new ChooseErasureHandler(openListenerStreams(store, 1_048_576)).execute(new ChooseErasure(userId, feed, one));
  const metadata = { recordedAt: TIME, correlationId: 'test' };
  const erased = (n: number) =>
    usersEvents.encode(
      { type: 'HistoryErased', data: { ...partOf(FEED, item(n)), requestedAt: TIME, before: TIME } },
      metadata,
      randomUUID(),
    );
  const stream = streamOf('listening', userId);
  await store.append(
    stream,
    NO_EVENTS,
    Array.from({ length: ERASED_PARTS_MAX - 1 }, (_, n) => erased(n)),
  );
  expect(await choose(OTHER_FEED)).toEqual(partOf(OTHER_FEED, null));

  await store.append(stream, ERASED_PARTS_MAX - 2, [erased(ERASED_PARTS_MAX - 1)]);
  await expect(choose(FEED, item(ERASED_PARTS_MAX))).rejects.toMatchObject({ code: 'erasures_full' });
  await expect(choose(OTHER_FEED)).rejects.toMatchObject({ code: 'erasures_full' });
  expect(await choose(FEED, item(7))).toEqual(partOf(FEED, item(7)));
  expect(await choose(FEED)).toEqual(partOf(FEED, null));
  expect(await choose()).toEqual(WHOLE_HISTORY);
});
