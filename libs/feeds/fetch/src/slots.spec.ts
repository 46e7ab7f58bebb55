import fc from 'fast-check';
import { Slots } from './slots';

const LIMITS = { perHost: 1, perClient: 2, total: 4, waiting: 6, waitingPerClient: 4 };
const never = new AbortController().signal;

/** What has a slot by now; a turn of the event loop lets grants arrive. */
async function settle(): Promise<void> {
  await new Promise(setImmediate);
}

it('keeps every limit, and leaves no slot empty that somebody waits for', async () => {
  const wish = fc.record({ host: fc.constantFrom('a', 'b', 'c', 'd'), client: fc.constantFrom('ann', 'bob', 'cid') });
  const step = fc.oneof(
    wish.map((wish) => ({ wish })),
    fc.nat(20).map((release) => ({ release })),
    fc.nat(20).map((abort) => ({ abort })),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      const slots = new Slots(LIMITS);
      type Asked = { host: string; client: string; release?: () => void; abort: AbortController; isOver?: boolean };
      const asked: Asked[] = [];
      const holding = () => asked.filter(({ release, isOver }) => release && !isOver);
      const waiting = () => asked.filter(({ release, isOver }) => !release && !isOver);
      for (const step of steps) {
        if ('wish' in step) {
          const each: Asked = { ...step.wish, abort: new AbortController() };
          asked.push(each);
          slots.take(step.wish, each.abort.signal).then(
            (release) => (each.release = release),
            () => (each.isOver = true),
          );
        } else if ('release' in step) {
          const each = holding()[step.release];
          if (each) {
            each.isOver = true;
            each.release!();
            // Twice is once.
            each.release!();
          }
        } else waiting()[step.abort]?.abort.abort();
        await settle();
        const most = (of: Asked[], by: 'host' | 'client') =>
          Math.max(0, ...of.map((one) => of.filter((other) => other[by] === one[by]).length));
        const held = holding();
        expect(held.length).toBeLessThanOrEqual(LIMITS.total);
        expect(most(held, 'host')).toBeLessThanOrEqual(LIMITS.perHost);
        expect(most(held, 'client')).toBeLessThanOrEqual(LIMITS.perClient);
        expect(waiting().length).toBeLessThanOrEqual(LIMITS.waiting);
        expect(most(waiting(), 'client')).toBeLessThanOrEqual(LIMITS.waitingPerClient);
        for (const each of waiting()) {
          const with_ = [...held, each];
          const isFull =
            with_.length > LIMITS.total ||
            most(with_, 'host') > LIMITS.perHost ||
            most(with_, 'client') > LIMITS.perClient;
          expect(isFull).toBe(true);
        }
      }
    }),
    { numRuns: 300 },
  );
});

it('gives the next turn to the client that has the least', async () => {
  const slots = new Slots({ ...LIMITS, perClient: 3 });
  const take = (client: string, host: string) => slots.take({ client, host }, never);
  const [first] = await Promise.all([take('ann', 'a'), take('ann', 'b'), take('ann', 'c'), take('bob', 'd')]);
  const order: string[] = [];
  for (const [index, client] of ['ann', 'bob', 'cid'].entries())
    void take(client, `${index}`).then(() => order.push(client));
  first();
  await settle();
  expect(order).toEqual(['cid']);
});

it('lets two go on where one waits for the host and another for the client', async () => {
  const slots = new Slots({ ...LIMITS, perClient: 1 });
  const first = await slots.take({ client: 'ann', host: 'a' }, never);
  const next = [slots.take({ client: 'ann', host: 'b' }, never), slots.take({ client: 'bob', host: 'a' }, never)];
  await settle();
  first();
  await Promise.all(next);
});
