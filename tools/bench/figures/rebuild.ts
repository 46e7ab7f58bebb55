import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Figure } from '../bench';
import { createListeners } from '../listeners';
import { projected } from '../progress';
import { connect, disconnect, fill, newestOfListeners, readRate } from '../raw-client';
import { milliseconds, percent, perSecond, Row, say } from '../report';
import { Running } from '../systems';
import { backlog, EVENTS_OF_A_LISTENER } from './catch-up';

/** REBUILD_EVENTS makes it as many as one likes; a million take a quarter of an hour. */
const EVENTS = Number(process.env.REBUILD_EVENTS || 50_000);
const GOAL_SHARE = 0.5;
const GOAL_OF_TWO = 1.3;
const GOAL_SWITCH_MS = 1_000;
const PAUSE_BETWEEN_READS_MS = 100;

interface Made {
  seconds: number;
  switchMs: number | undefined;
  unreadableMs: number | undefined;
}

/** Calls the command as an operator does, in so many processes at once. */
async function made(name: 'users' | 'site', processes: number, system: Running): Promise<Made> {
  const outputs = await Promise.all(Array.from({ length: processes }, () => command(['rebuild', name], system)));
  const all = outputs.map((output): Made => {
    const [, seconds] = /events in ([\d.]+) s/.exec(output) ?? [];
    const [, whole, unreadable] = /within (\d+) ms, of which nobody could read for (\d+) ms/.exec(output) ?? [];
    if (!seconds) throw new Error(`the rebuild of ${name} says: ${output}`);
    const number = (text: string | undefined): number | undefined => (text === undefined ? undefined : Number(text));
    return { seconds: Number(seconds), switchMs: number(whole), unreadableMs: number(unreadable) };
  });
  const { switchMs, unreadableMs } = all.find((one) => one.switchMs !== undefined)!;
  return { seconds: Math.max(...all.map(({ seconds }) => seconds)), switchMs, unreadableMs };
}

function command(args: readonly string[], { env }: Running): Promise<string> {
  const child = spawn(
    process.execPath,
    [
      ...(process.env.PROF ? ['--cpu-prof', '--cpu-prof-dir=/tmp/prof'] : []),
      resolve('dist/apps/projections/operate.js'),
      ...args,
    ],
    {
      env: { PATH: process.env.PATH, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return new Promise((done, failed) =>
    child.on('close', (code) => (code === 0 ? done(output) : failed(new Error(`${args.join(' ')}: ${output}`)))),
  );
}

/** Reads one thing after the other until `work` is done. @throws Error for an answer other than 200 */
async function whileReading<Result>(
  reads: readonly (() => Promise<Response>)[],
  work: () => Promise<Result>,
): Promise<{ result: Result; longestMs: number; count: number }> {
  let [longestMs, count, isDone] = [0, 0, false];
  const reading = Promise.all(
    reads.map(async (read) => {
      while (!isDone) {
        const started = performance.now();
        const response = await read();
        await response.arrayBuffer();
        if (response.status !== 200) throw new Error(`a read during the rebuild was answered ${response.status}`);
        longestMs = Math.max(longestMs, performance.now() - started);
        count += 1;
        await delay(PAUSE_BETWEEN_READS_MS);
      }
    }),
  );
  try {
    const result = await Promise.race([work(), reading.then(() => undefined as never)]);
    isDone = true;
    await reading;
    return { result, longestMs, count };
  } finally {
    isDone = true;
  }
}

/** Tables are made anew beside those that are read, by one process and by two. */
export const rebuilding: Figure = {
  name: 'rebuild',
  async measure(system) {
    const store = connect(system.eventStore);
    try {
      const count = Math.ceil(EVENTS / EVENTS_OF_A_LISTENER);
      const listeners = await createListeners(system.database, system.listeners, count);
      const after = await newestOfListeners(store);
      const { fillings, users, site } = backlog(listeners.map(({ userId }) => userId));
      await fill(store, fillings);
      const events = count * EVENTS_OF_A_LISTENER;
      await projected(system.database, 'users', users);
      await projected(system.database, 'site_private', site);
      const ceiling = await readRate(store, { after, count: events });
      say(
        `  ${events.toLocaleString('en')} events; ${perSecond(ceiling)} read by the raw client's filtered subscription`,
      );

      const headers = { authorization: `Bearer ${listeners[0]!.token}` };
      const reads = [
        () => fetch(`${system.listeners}/api/v1/subscriptions`, { headers }),
        () => fetch(`${system.listeners}/api/v1/play?limit=50`, { headers }),
        () => fetch(`${system.public}/api/v1/public/trending/episodes?limit=20`),
        () => fetch(`${system.public}/api/v1/public/timeline?limit=20`),
      ];
      const rows: Row[] = [];
      for (const name of ['users', 'site'] as const) {
        let alone = 0;
        for (const processes of [1, 2]) {
          const { result, longestMs, count } = await whileReading(reads, () => made(name, processes, system));
          const rate = events / result.seconds;
          say(`  ${name}, ${processes}: ${perSecond(rate)}`);
          if (processes === 1) alone = rate;
          const goal = processes === 1 ? GOAL_SHARE * ceiling : GOAL_OF_TWO * alone;
          rows.push({
            what: `rebuild of ${name} from ${events.toLocaleString('en')} events by ${processes === 1 ? 'one process' : 'two processes'}`,
            measured: `${perSecond(rate)} (${percent(rate / (processes === 1 ? ceiling : alone))}); longest of ${count} reads ${milliseconds(longestMs)}`,
            ceiling:
              processes === 1 ? `${perSecond(ceiling)} read by the raw client` : `${perSecond(alone)} by one process`,
            goal: `≥ ${percent(processes === 1 ? GOAL_SHARE : GOAL_OF_TWO)} of it`,
            met: rate >= goal,
          });
          rows.push({
            what: `  its switch-over`,
            measured: `${milliseconds(result.switchMs!)}, nobody reads for ${milliseconds(result.unreadableMs!)}`,
            goal: `< ${milliseconds(GOAL_SWITCH_MS)}`,
            met: result.switchMs! < GOAL_SWITCH_MS,
          });
        }
      }
      return rows;
    } finally {
      await disconnect(store);
    }
  },
};
