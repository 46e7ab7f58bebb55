import { spawnSync } from 'node:child_process';
import { encodeBase64Url } from '@balados/feeds-ids';
import { streamOf } from '@balados/event-sourcing';
import { Figure } from '../bench';
import { episodeOf } from '../events';
import { send } from '../http';
import { createListeners, Listener } from '../listeners';
import { connect, disconnect, fill, Filling } from '../raw-client';
import { megabytes, perSecond, say } from '../report';

const MEGABYTE = 1_048_576;
const STANDALONE_GOAL_BYTES = 400 * MEGABYTE;
const SERVICE_GOAL_BYTES = 200 * MEGABYTE;

interface Process {
  pid: number;
  parent: number;
  /** Resident set, in bytes. */
  resident: number;
  command: string;
}

function allProcesses(): Process[] {
  const { stdout } = spawnSync('ps', ['-A', '-o', 'pid=,ppid=,rss=,args='], { encoding: 'utf8' });
  return stdout
    .trim()
    .split('\n')
    .map((line) => {
      const [, pid, parent, kilobytes, command] = /^\s*(\d+)\s+(\d+)\s+(\d+)\s+(.*)$/.exec(line)!;
      return { pid: Number(pid), parent: Number(parent), resident: Number(kilobytes) * 1_024, command: command! };
    });
}

/** Resident set of a process, in bytes. */
export function residentOf(pid: number): number {
  const found = allProcesses().find((each) => each.pid === pid);
  if (!found) throw new Error(`process ${pid} is gone`);
  return found.resident;
}

/** Standalone and its children of ours; Postgres itself is not counted. */
export const standaloneMemory: Figure = {
  name: 'memory',
  async measure({ processes }) {
    const { pid } = processes['standalone']!;
    const parts = allProcesses()
      .filter((each) => each.pid === pid || each.parent === pid)
      .map(({ command, resident }) => ({ name: /(\w+)\.js\b/.exec(command)?.[1] ?? command, resident }));
    const total = parts.reduce((sum, { resident }) => sum + resident, 0);
    return [
      {
        what: 'memory of standalone, besides Postgres, after the above',
        measured: `${megabytes(total)} (${parts.map(({ name, resident }) => `${name} ${megabytes(resident)}`).join(', ')})`,
        goal: `< ${megabytes(STANDALONE_GOAL_BYTES)}`,
        met: total < STANDALONE_GOAL_BYTES,
      },
    ];
  },
};

/** Each service alone, before it has done anything. */
export const serviceMemory: Figure = {
  name: 'memory',
  async measure({ processes }) {
    return Object.entries(processes).map(([name, { pid }]) => {
      const resident = residentOf(pid);
      return {
        what: `memory of ${name} alone, empty caches`,
        measured: megabytes(resident),
        goal: `< ${megabytes(SERVICE_GOAL_BYTES)}`,
        met: resident < SERVICE_GOAL_BYTES,
      };
    });
  },
};

const EPISODES = 500;
const REQUESTS_AT_ONCE = 8;
/** The default of STATE_CACHE_MB. */
const CACHE_BYTES = 64 * MEGABYTE;

/**
 * Listeners with long lists, active in turn: the folded states that are kept must stay within their bound, and so many that they
 * would not fit are needed.
 */
export const stateCache = (howMany: number): Figure => ({
  name: 'cache',
  async measure({ processes, listeners: base, database, eventStore }) {
    // What they would make of a million events is another figure.
    await processes['projections']!.stop();
    const listeners = await createListeners(database, base, howMany);
    const store = connect(eventStore);
    const filling = performance.now();
    const filled = await fill(store, libraries(listeners));
    await disconnect(store);
    say(`  ${filled} events appended in batches, ${perSecond((filled * 1_000) / (performance.now() - filling))}`);

    const service = processes['command-api']!;
    const before = residentOf(service.pid);
    let highest = before;
    const started = performance.now();
    const waiting = listeners.entries();
    const work = async (): Promise<void> => {
      for (const [index, listener] of waiting) {
        const { feed, item } = episodeOf(index, 0);
        const path = `/play/${encodeBase64Url(item)}/position?feed=${encodeBase64Url(feed)}`;
        await send(base, listener, 'PUT', path, JSON.stringify({ position: 77.5 }));
        if (index % 100 === 0) highest = Math.max(highest, residentOf(service.pid));
      }
    };
    await Promise.all(Array.from({ length: REQUESTS_AT_ONCE }, work));
    const after = residentOf(service.pid);
    const held = await gauge(service.url, 'state_cache_bytes');
    const rate = (howMany * 1_000) / (performance.now() - started);
    return [
      {
        what: `folded states held after ${howMany.toLocaleString('en')} listeners of ${EPISODES} episodes in turn`,
        measured: megabytes(held),
        ceiling: `${megabytes(CACHE_BYTES)}: STATE_CACHE_MB`,
        goal: 'within it',
        met: held <= CACHE_BYTES,
      },
      {
        what: "command-api's resident memory meanwhile, with the garbage of folding",
        measured: `+${megabytes(after - before)} (from ${megabytes(before)}, highest ${megabytes(highest)}; ${perSecond(rate)} folded)`,
      },
    ];
  },
});

/** One figure of `/metrics`. @throws Error when it is not there */
export async function gauge(url: string, name: string): Promise<number> {
  const metrics = await (await fetch(`${url}/metrics`)).text();
  const line = metrics.split('\n').find((each) => each.startsWith(`${name}{`));
  if (!line) throw new Error(`${url}/metrics has no ${name}`);
  return Number(line.split(' ').at(-1));
}

function* libraries(listeners: readonly Listener[]): Generator<Filling> {
  const updatedAt = new Date().toISOString();
  for (const [index, { userId }] of listeners.entries()) {
    yield {
      stream: streamOf('listening', userId),
      events: Array.from({ length: EPISODES }, (_, n) => ({
        type: 'PlayRecorded' as const,
        data: { ...episodeOf(index, n), position: n, played: true, updatedAt },
      })),
    };
  }
}
