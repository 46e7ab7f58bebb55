import { readdirSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
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
  /** How far the slowest projector is behind, in seconds. */
  lag: number;
}

/** How much everything uses at this moment. */
export async function takeSample({ processes }: Running, at: number): Promise<Sample> {
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
  let lag = 0;
  await Promise.all(
    Object.entries(processes).map(async ([name, { url }]) => {
      // The stand-in for the event store speaks nothing but gRPC.
      if (name === 'eventstore') return;
      const metrics = await (await fetch(`${url}/metrics`)).text();
      const figures = (of: string): number[] =>
        [...metrics.matchAll(new RegExp(`^${of}(?:\\{.*\\})? (\\S+)$`, 'gm'))].map(([, figure]) => Number(figure));
      lag = Math.max(lag, ...figures('projector_lag_seconds'));
      const own = used.get(name);
      if (own) own.heap = figures('nodejs_heap_size_used_bytes')[0];
    }),
  );
  return { at, used, lag };
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
