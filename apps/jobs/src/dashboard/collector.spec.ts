import { StoreUnavailable } from '@balados/event-sourcing';
import { createLogger } from '@balados/platform-service';
import { waitFor } from '@balados/testing';
import { Collector, Sample, Snapshot } from './collector';

const log = createLogger('test', 'silent');

function collecting(sections: Record<string, () => Promise<object>>, timeoutMs = 1_000) {
  const collector = new Collector({ sections, sampleOf: () => ({ events: 1 }), log, everyMs: 2, timeoutMs });
  const seen: Snapshot[] = [];
  const samples: Sample[] = [];
  const look = (): (() => void) =>
    collector.watch((snapshot, sample) => {
      seen.push(snapshot);
      samples.push(sample);
    });
  return { collector, seen, samples, look };
}

it('asks once for all who look, and not at all when nobody does', async () => {
  let asked = 0;
  const { seen, look, collector } = collecting({ log: async () => ({ asked: (asked += 1) }) });
  expect(asked).toBe(0);
  const ends = [look(), look(), look()];
  await waitFor(() => asked >= 3, { what: 'several rounds' });
  // Each viewer was told of each round that is over.
  expect(seen.length / 3).toBeGreaterThanOrEqual(asked - 1);
  expect(seen.length / 3).toBeLessThanOrEqual(asked);
  for (const end of ends) end();
  expect(collector.viewerCount).toBe(0);
  const heard = seen.length;
  look()();
  // Whoever comes back within a moment is told what was last known, and nothing more once they left again.
  expect(seen.length - heard).toBeLessThanOrEqual(1);
});

it('says which part is away and why, and shows the others', async () => {
  const passing = Object.assign(new Error('connect ECONNREFUSED 10.0.0.3:5432'), { code: 'ECONNREFUSED' });
  const { collector } = collecting({
    here: async () => ({ figure: 7 }),
    store: () => Promise.reject(new StoreUnavailable('listening-5d1f was not read')),
    postgres: () => Promise.reject(passing),
    broken: () => Promise.reject(new RangeError('of listener 5d1f')),
  });
  expect((await collector.collect()).sections).toEqual({
    here: { figure: 7 },
    store: { away: 'The event store does not answer.' },
    postgres: { away: 'Postgres does not answer.' },
    broken: { away: 'It could not be read (RangeError); the log of jobs says why.' },
  });
});

it('asks a store that says nothing one question, however often it is looked at, and goes on when it answers', async () => {
  let asked = 0;
  let answer!: (found: object) => void;
  const held = new Promise<object>((resolve) => (answer = resolve));
  const { seen, look } = collecting({ log: () => ((asked += 1) > 1 ? Promise.resolve({ asked }) : held) }, 5);
  const end = look();
  await waitFor(() => seen.length > 3, { what: 'rounds without an answer' });
  expect([asked, seen.at(-1)!.sections]).toEqual([1, { log: { away: 'No answer within 0.005 s.' } }]);
  answer({ asked: 1 });
  await waitFor(() => Number(seen.at(-1)!.sections['log']!['asked']) > 1, { what: 'the next question' });
  end();
});

it('remembers what is drawn, in the order of time', async () => {
  const { samples, look, collector } = collecting({ log: async () => ({}) });
  const end = look();
  await waitFor(() => samples.length > 3, { what: 'samples' });
  end();
  expect(collector.history.slice(0, samples.length)).toEqual(samples);
  expect(samples.map(({ at }) => at)).toEqual(samples.map(({ at }) => at).sort());
});
