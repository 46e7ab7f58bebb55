import { Row } from '../report';
import { Running, startAgain, startStandalone } from '../systems';

const GOAL_MS = 8_000;

/** Standalone from its start until it is ready: on a new data directory, and again on the one that it made then. It keeps running. */
export async function timeStarts(): Promise<{ system: Running; rows: Row[] }> {
  const [first, fresh] = await timed(startStandalone);
  await first.processes['standalone']!.stop();
  const [system, again] = await timed(() => startAgain(first));
  return { system, rows: [row('a new', fresh), row('an existing', again)] };
}

async function timed<Result>(work: () => Promise<Result>): Promise<[Result, number]> {
  const started = performance.now();
  const result = await work();
  return [result, performance.now() - started];
}

const row = (which: string, took: number): Row => ({
  what: `time to ready of standalone, ${which} data directory`,
  measured: `${(took / 1_000).toFixed(1)} s`,
  goal: `< ${GOAL_MS / 1_000} s`,
  met: took < GOAL_MS,
});
