import { randomUUID } from 'node:crypto';
import { InMemoryEventStore } from '@balados/event-sourcing/testing';
import { canonicalFeed } from '@balados/feeds-ids';
import { PODCASTS_MAX } from '@balados/users-contracts';
import { isSubscribed, Subscription } from '@balados/users-domain';
import fc from 'fast-check';
import { ChangeSubscription, ChangeSubscriptionHandler } from './commands';
import { ImportSubscriptions, ImportSubscriptionsHandler } from './import-subscriptions';
import { openListenerStreams } from './listener-streams';

const NOW = Date.UTC(2026, 0, 1);
const feedOf = (n: number): string => `https://feeds.example/${n}`;

/** A listener in a store of their own. */
function listener() {
  const streams = openListenerStreams(new InMemoryEventStore(() => Promise.resolve()), 1_048_576);
  const speaker = { userId: randomUUID(), correlationId: 'test' };
  const clock = { now: NOW };
  const tick = () => clock.now;
  const changes = new ChangeSubscriptionHandler(streams, tick);
  const imports = new ImportSubscriptionsHandler(streams, tick);
  return {
    clock,
    subscribe: (feed: string) =>
      changes.execute(new ChangeSubscription(speaker, { type: 'Subscribe', data: { feed, sourceId: null } })),
    unsubscribe: (feed: string) =>
      changes.execute(new ChangeSubscription(speaker, { type: 'Unsubscribe', data: { feed } })),
    import: (urls: readonly string[]) => imports.execute(new ImportSubscriptions(speaker, urls)),
    held: () => streams.subscriptions.query(speaker.userId, ({ state }) => new Map(state.feeds)),
    head: () => streams.subscriptions.head(speaker.userId),
  };
}

const dates = (held: ReadonlyMap<string, Subscription>) =>
  new Map([...held].map(([feed, { subscribedAt, unsubscribedAt }]) => [feed, [subscribedAt, unsubscribedAt]]));

it('does what subscribing to each by itself does, and tells which it did', async () => {
  const urls = fc.array(
    fc.oneof(
      fc.nat(8).map(feedOf),
      fc.nat(8).map((n) => ` HTTPS://Feeds.example:443/${n}#top `),
      fc.constantFrom('', 'itpc://a', 'a\u0000'),
    ),
    { maxLength: 30 },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(8)), fc.array(fc.nat(8)), urls, async (before, ended, written) => {
      const [own, other] = [listener(), listener()];
      for (const each of [own, other]) {
        for (const n of before) await each.subscribe(feedOf(n));
        for (const n of ended) await each.unsubscribe(feedOf(n));
        each.clock.now += 60_000;
      }
      const outcomes = await own.import(written);
      for (const [index, url] of written.entries()) {
        let feed: string;
        try {
          feed = canonicalFeed(url);
        } catch (error) {
          expect(outcomes[index]).toEqual({
            code: (error as { code: string }).code,
            message: (error as Error).message,
          });
          continue;
        }
        const head = await other.head();
        await other.subscribe(feed);
        expect(outcomes[index]).toBe((await other.head()) > head ? 'imported' : 'already');
      }
      expect(outcomes).toHaveLength(written.length);
      expect(dates(await own.held())).toEqual(dates(await other.held()));
      // Once more it is nothing to do.
      const head = await own.head();
      own.clock.now += 60_000;
      expect(await own.import(written)).toEqual(outcomes.map((each) => (each === 'imported' ? 'already' : each)));
      expect(await own.head()).toBe(head);
    }),
    { numRuns: 50 },
  );
});

it('takes as many as there is room for', async () => {
  const own = listener();
  const outcomes = await own.import(Array.from({ length: PODCASTS_MAX + 2 }, (_, n) => feedOf(n)));
  expect(outcomes.slice(PODCASTS_MAX - 1)).toEqual([
    'imported',
    expect.objectContaining({ code: 'library_full' }),
    expect.objectContaining({ code: 'library_full' }),
  ]);
  expect([...(await own.held()).values()].filter(isSubscribed)).toHaveLength(PODCASTS_MAX);
});
