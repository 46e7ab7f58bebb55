import { loadavg } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { closeConnections } from '../bench/http';
import { createListeners } from '../bench/listeners';
import { generate, runLoad } from '../bench/load';
import { Mix } from '../bench/mix';
import { megabytes, milliseconds, perSecond, say } from '../bench/report';
import { buildApps, Running, startCluster, startPostgres, stopEverything } from '../bench/systems';
import { isWorker } from '../bench/workers';
import { progressOf } from '../demo/progress';
import { optionsOf, wholeNumber } from '../options';
import { sendSteadily, SteadyLoad } from './load';
import { reportSoak, Soaked } from './report';
import { probeOf, Sample, takeSample } from './sample';

const USAGE = `npm run soak -- [--minutes 30] [--rate <requests a second>] [--listeners 200]

Two processes of each service behind nginx, on a system of its own which is thrown away, at half of what they can do (measured first) or at
--rate: 80 % positions, 10 % syncs, 10 % reads, sent evenly. Every ten seconds it looks at the memory and the processor time of each process
and at how long a write takes into the read models. In the end it prints all that, and says what has grown; the exit code is 1 when something has.`;

const SHARE = 0.5;
const FULL_CONNECTIONS = 64;
const FULL_WARM_UP_S = 8;
const FULL_S = 8;
const SAMPLE_EVERY_MS = 10_000;
/** Of so many samples one is told. */
const TOLD_EVERY = 6;

interface Options {
  minutes: number;
  rate?: number;
  listeners: number;
}

async function soak({ minutes, listeners: howMany, ...given }: Options): Promise<boolean> {
  say(`Load of the machine ${loadavg()[0]!.toFixed(1)} before we begin.`);
  buildApps();
  const postgres = await startPostgres();
  try {
    const system = await startCluster();
    try {
      const { listeners: base, database } = system;
      const [probed, ...listeners] = await createListeners(database, base, howMany + 1);
      const full = given.rate === undefined ? await fullLoad(base, listeners) : undefined;
      const rate = given.rate ?? Math.round(SHARE * full!);
      say(`${full === undefined ? '' : `At most ${perSecond(full)}; `}${perSecond(rate)} for ${minutes} minutes …`);
      const forMs = minutes * 60_000;
      const load: SteadyLoad = { taken: [], errors: [] };
      const over = new AbortController();
      const [samples] = await Promise.all([
        sampling(system, probeOf(system, probed!), { forMs, over: over.signal }),
        sendSteadily(load, { base, mix: new Mix(listeners), rate, forMs }).finally(() => over.abort()),
      ]);
      const soaked: Soaked = { samples, load, rate, full, forMs };
      return reportSoak(soaked);
    } finally {
      closeConnections();
      await system.stop();
    }
  } finally {
    await postgres.stop();
  }
}

/** Requests a second when the next is sent as soon as one is answered. */
async function fullLoad(base: string, listeners: Awaited<ReturnType<typeof createListeners>>): Promise<number> {
  const load = { kind: 'mix', base, listeners, connections: FULL_CONNECTIONS } as const;
  await generate({ ...load, seconds: FULL_WARM_UP_S });
  return (await generate({ ...load, seconds: FULL_S })).perSecond;
}

async function sampling(
  system: Running,
  probe: () => Promise<number>,
  { forMs, over }: { forMs: number; over: AbortSignal },
): Promise<Sample[]> {
  const samples: Sample[] = [];
  const start = performance.now();
  const progress = progressOf(Math.ceil(forMs / SAMPLE_EVERY_MS), process.stderr);
  for (let nth = 0; !over.aborted; nth += 1) {
    const sample = await takeSample(system, { at: performance.now() - start, probe });
    samples.push(sample);
    if (nth > 0) progress.done();
    if (nth % TOLD_EVERY === 0) {
      const resident = [...sample.used.values()].reduce((sum, used) => sum + used.resident, 0);
      progress.doing(
        `${Math.round(sample.at / 60_000)} min: ${megabytes(resident)}, lag ${milliseconds(sample.lagMs)}`,
      );
    }
    const next = start + (nth + 1) * SAMPLE_EVERY_MS - performance.now();
    await delay(Math.max(next, 0), undefined, { signal: over }).catch(() => undefined);
  }
  progress.stop();
  return samples;
}

/** @throws Error for an option that is none, or no number */
function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      minutes: { type: 'string', default: '30' },
      rate: { type: 'string' },
      listeners: { type: 'string', default: '200' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { minutes, rate, listeners } = values;
  return {
    minutes: wholeNumber('minutes', minutes),
    ...(rate !== undefined && { rate: wholeNumber('rate', rate) }),
    listeners: Math.max(wholeNumber('listeners', listeners), FULL_CONNECTIONS),
  };
}

if (!isWorker({ load: runLoad })) {
  const fail = async (error: Error): Promise<void> => {
    process.stderr.write(`soak: ${error.stack}\n`);
    await stopEverything();
    process.exit(1);
  };
  process.once('uncaughtException', (error) => void fail(error));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void fail(new Error(signal)));
  const options = optionsOf(USAGE, readOptions);
  if (options)
    soak(options).then(
      (isWell) => (process.exitCode = isWell ? 0 : 1),
      (error: Error) => fail(error),
    );
}
