import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { encodeBase64 } from '@balados/feeds-ids';
import { episodeOf } from '../bench/events';
import { send } from '../bench/http';
import { Listener } from '../bench/listeners';
import { projected } from '../bench/progress';
import { Running } from '../bench/systems';

/** Of a tick of /proc, in milliseconds, as in the bench. */
const TICK_MS = 10;
const KILOBYTE = 1_024;

/** One process, or all of Postgres or nginx together. */
export interface Used {
  /** Memory that is its own, in bytes: what several processes share is divided among them. */
  resident: number;
  /** Used heap, in bytes; undefined for what has no /metrics. */
  heap?: number;
  /** Processor time so far, in milliseconds. */
  processorMs: number;
}

export interface Sample {
  /** Milliseconds from the beginning. */
  at: number;
  used: Map<string, Used>;
  /** From when a play was acknowledged until it was in the read models of both contexts, in milliseconds. */
  lagMs: number;
}

/** How much everything uses at this moment; `probe` says how far projectors are behind. */
export async function takeSample(
  { processes }: Running,
  { at, probe }: { at: number; probe: () => Promise<number> },
): Promise<Sample> {
  const names = new Map(Object.entries(processes).map(([name, { pid }]) => [pid, name]));
  const used = new Map<string, Used>();
  for (const pid of descendants()) {
    const name = names.get(pid) ?? programOf(pid);
    const own = name === undefined ? undefined : usedBy(pid);
    if (!own) continue;
    const sum = used.get(name!);
    used.set(name!, {
      resident: own.resident + (sum?.resident ?? 0),
      processorMs: own.processorMs + (sum?.processorMs ?? 0),
    });
  }
  await Promise.all(
    Object.entries(processes).map(async ([name, { url }]) => {
      // The stand-in for the event store speaks nothing but gRPC.
      if (name === 'eventstore') return;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const [, heap] = /^nodejs_heap_size_used_bytes(?:\{.*\})? (\S+)$/m.exec(metrics) ?? [];
      const own = used.get(name);
      if (own && heap) own.heap = Number(heap);
    }),
  );
  return { at, used, lagMs: await probe() };
}

/** Each time a listener of its own plays something new. */
export function probeOf({ listeners: base, database }: Running, listener: Listener): () => Promise<number> {
  let plays = 0;
  return async () => {
    const { feed, item } = episodeOf(0, plays);
    const body = { rss_source_feed: encodeBase64(feed), rss_source_item: encodeBase64(item), position: 1 };
    await send(base, listener, 'POST', '/play', JSON.stringify(body));
    const acknowledged = performance.now();
    const mark = { userId: listener.userId, category: 'listening', revision: plays };
    plays += 1;
    const [users, site] = await Promise.all([
      projected(database, 'users', [mark]),
      projected(database, 'site_private', [mark]),
    ]);
    return Math.max(users.last, site.last) - acknowledged;
  };
}

/** Neither ours nor what supervises Postgres. */
function programOf(pid: number): string | undefined {
  const [command = ''] = (read(`/proc/${pid}/cmdline`) ?? '').split(/[\0 ]/);
  const name = basename(command).replace(/:$/, '');
  return ['postgres', 'nginx'].includes(name) ? name : undefined;
}

function descendants(): number[] {
  const parents = new Map<number, number>();
  for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
    const fields = statOf(pid);
    if (fields) parents.set(pid, Number(fields[1]));
  }
  const isOurs = (pid: number): boolean => {
    const parent = parents.get(pid);
    return parent !== undefined && (parent === process.pid || isOurs(parent));
  };
  return [...parents.keys()].filter(isOurs);
}

function usedBy(pid: number): Used | undefined {
  const fields = statOf(pid);
  const [, kilobytes] = /^Pss:\s+(\d+)/m.exec(read(`/proc/${pid}/smaps_rollup`) ?? '') ?? [];
  if (!fields || !kilobytes) return undefined;
  return {
    resident: Number(kilobytes) * KILOBYTE,
    processorMs: (Number(fields[11]) + Number(fields[12])) * TICK_MS,
  };
}

const statOf = (pid: number): string[] | undefined =>
  read(`/proc/${pid}/stat`)
    ?.replace(/^.*\) /s, '')
    .split(' ');

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}
