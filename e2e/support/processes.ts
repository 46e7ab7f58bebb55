import { readdirSync, readFileSync } from 'node:fs';

/** A process as the system knows it; the start time tells it from a later one with the same number. */
export interface Known {
  pid: number;
  parent: number;
  startedAt: string;
  command: string;
}

function look(pid: number): Known | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name, in parentheses, may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z') return undefined;
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
    return { pid, parent: Number(fields[1]), startedAt: fields[19]!, command };
  } catch {
    return undefined;
  }
}

/**
 * A process's children, their children, and so on, not the process itself; and all whose command line names `folder`, with theirs:
 * a Postgres that outlived its parent is nobody's child.
 */
export function family(pid: number, folder: string): Known[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => look(Number(name)))
    .filter((known) => known !== undefined);
  const found = new Map<number, Known>();
  const add = (known: Known): void => {
    if (found.has(known.pid) || known.pid === pid) return;
    found.set(known.pid, known);
    for (const child of all) if (child.parent === known.pid) add(child);
  };
  for (const known of all) if (known.parent === pid || known.command.includes(folder)) add(known);
  return [...found.values()];
}

/** Which of these still run. */
export const alive = (known: readonly Known[]): Known[] =>
  known.filter(({ pid, startedAt }) => look(pid)?.startedAt === startedAt);
