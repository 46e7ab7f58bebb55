import { waitFor } from '@balados/testing';
import { ServiceProcess } from './service-process';

/** Lines of each process that a failure shows, beside those that tell of errors. */
const LINES_SHOWN = 25;
const IS_ERROR = /"level":"error"/;

/** Long runs are asked for by LONG_TESTS=1. */
export const LONG = process.env.LONG_TESTS === '1';

/** One line on the terminal, without Jest's frame. */
export const report = (text: string): void => void process.stderr.write(`      ${text}\n`);

type Processes = () => Iterable<ServiceProcess>;

/**
 * The body of a test with a hard limit in seconds. Whatever fails, or does not end, shows the last lines of the processes.
 * The test's own limit must be longer: `it(name, ...within(…))` sets both.
 */
export function within(
  seconds: number,
  processes: Processes,
  body: () => Promise<void>,
): [() => Promise<void>, number] {
  const limited = async (): Promise<void> => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_resolve, reject) => {
      timer = setTimeout(() => reject(new Error(`not done within ${seconds} s`)), seconds * 1_000);
    });
    try {
      await Promise.race([body(), late]);
    } catch (error) {
      for (const { name, lines } of processes()) {
        const shown = lines.filter((line, index) => index >= lines.length - LINES_SHOWN || IS_ERROR.test(line));
        process.stderr.write(`--- last lines of ${name}\n${shown.join('\n')}\n`);
      }
      throw error;
    } finally {
      clearTimeout(timer);
    }
  };
  return [limited, (seconds + 5) * 1_000];
}

/** Waits for a condition and answers how long it took, in milliseconds. */
export async function timed(what: string, condition: () => unknown, timeoutMs = 60_000): Promise<number> {
  const startedAt = performance.now();
  await waitFor(condition, { what, timeoutMs });
  return Math.round(performance.now() - startedAt);
}

/** Numbers from 0 to below 1, the same for the same seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seed of this run, printed; SEED=… runs it again. */
export function newSeed(suite: string): number {
  const seed = Number(process.env.SEED ?? Math.floor(Math.random() * 2 ** 31));
  report(`${suite}: SEED=${seed}`);
  return seed;
}

export const oneOf = <Item>(random: () => number, items: readonly Item[]): Item =>
  items[Math.floor(random() * items.length)]!;
