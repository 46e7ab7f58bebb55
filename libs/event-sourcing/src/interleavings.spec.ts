import fc from 'fast-check';
import { NewEvent, StoreUnavailable } from './event-store';
import { CommandHandler } from './handle';
import { clear, contents, metadata, place, shelf, ShelfCommand, shelfEvents, take } from './shelf.fixture';
import { StateCache } from './state-cache';
import { InMemoryEventStore } from './testing';

type Outcome = 'answered' | 'lost' | 'lost after it was applied';

/** One listener's commands on two copies of a service, in any order that the scheduler finds, and a store that sometimes does not answer. */
class UnreliableStore extends InMemoryEventStore {
  constructor(
    turn: () => Promise<unknown>,
    private readonly outcome: () => Outcome,
  ) {
    super(turn);
  }

  override async append(stream: string, expectedRevision: number, events: readonly NewEvent[]): Promise<number> {
    const outcome = this.outcome();
    if (outcome === 'lost') throw new StoreUnavailable('no answer');
    const revision = await super.append(stream, expectedRevision, events);
    if (outcome === 'lost after it was applied') throw new StoreUnavailable('no answer');
    return revision;
  }
}

/** The state after the first `count` events of the log. */
const replayed = (store: InMemoryEventStore, count = store.log.length) =>
  store.log
    .slice(0, count)
    .flatMap((event) => shelfEvents.decode(event))
    .reduce(shelf.evolve, shelf.initialState());

const isRefused = (command: ShelfCommand, state: ReturnType<typeof shelf.initialState>): boolean => {
  try {
    shelf.decide(command, state);
    return false;
  } catch {
    return true;
  }
};

/** The same wish, as a command that is never refused. */
const again = (command: ShelfCommand): ShelfCommand => (command.type === 'Take' ? clear(command.thing) : command);

const things = fc.uniqueArray(fc.constantFrom('x', 'y', 'z'), { minLength: 1 });
const command: fc.Arbitrary<ShelfCommand> = fc.oneof(
  things.map((some) => place(...some)),
  things.map((some) => clear(...some)),
  fc.constantFrom('x', 'y', 'z').map(take),
);
const step = fc.record({
  copy: fc.constantFrom(0, 1),
  command: fc.option(command, { nil: undefined }),
  outcome: fc.oneof(
    { weight: 8, arbitrary: fc.constant<Outcome>('answered') },
    fc.constantFrom<Outcome>('lost', 'lost after it was applied'),
  ),
});
/** Warm caches, and caches that hold nothing for long. */
const cacheBytes = fc.constantFrom(1_000_000, 1_024);

it('two copies of a service never acknowledge or refuse what the log does not bear out, in any order of events', async () => {
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(step, { maxLength: 12 }), cacheBytes, async (scheduler, steps, bytes) => {
      const outcomes = steps.map(({ outcome }) => outcome);
      const store = new UnreliableStore(
        () => scheduler.schedule(Promise.resolve()),
        () => outcomes.pop() ?? 'answered',
      );
      const copies = [0, 1].map(() => new CommandHandler(store, new StateCache(bytes), shelf, shelfEvents));

      const run = async ({ copy, command }: (typeof steps)[number], index: number) => {
        await scheduler.schedule(Promise.resolve());
        const handler = copies[copy]!;
        const headWhenAsked = store.log.length - 1;
        const atOrAfter = (revision: number) => expect(revision).toBeGreaterThanOrEqual(headWhenAsked);
        if (command === undefined) {
          const seen = await handler.query('a', (folded) => ({ revision: folded.revision, held: contents(folded) }));
          atOrAfter(seen.revision);
          expect(seen.held).toEqual(contents({ state: replayed(store, seen.revision + 1) }));
          return;
        }
        try {
          const seen = await handler.handle('a', command, metadata(`${index}`), (handled) => ({
            revision: handled.revision,
            held: contents(handled),
            leftToDo: shelf.decide(again(command), handled.state),
            events: handled.events.map(({ revision }) => revision),
          }));
          atOrAfter(seen.revision);
          expect(seen.leftToDo).toEqual([]);
          expect(seen.held).toEqual(contents({ state: replayed(store, seen.revision + 1) }));
          const appended = store.log.filter((stored) => correlationOf(stored.metadata) === `${index}`);
          expect(appended.map(({ revision }) => revision)).toEqual([...new Set(seen.events)]);
        } catch (error) {
          if (error instanceof StoreUnavailable) return;
          expect(error).toMatchObject({ code: 'not_there' });
          const since = store.log.slice(headWhenAsked + 1);
          const refusedAt = [headWhenAsked, ...since.map(({ revision }) => revision)].filter((revision) =>
            isRefused(command, replayed(store, revision + 1)),
          );
          expect(refusedAt).not.toEqual([]);
        }
      };

      await scheduler.waitFor(Promise.all(steps.map(run)));
      for (const handler of copies) {
        const held = scheduler.waitFor(handler.query('a', (folded) => folded.state));
        expect(await held).toEqual(replayed(store));
      }
    }),
    { numRuns: 500 },
  );
});

const correlationOf = (metadata: unknown): string => (metadata as { correlationId: string }).correlationId;
