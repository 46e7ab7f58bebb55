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

/** Children of a process, their children, and so on; not the process itself. */
export function descendants(pid: number): Known[] {
  const all = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => look(Number(name)))
    .filter((known) => known !== undefined);
  const below = (parent: number): Known[] =>
    all.filter((known) => known.parent === parent).flatMap((known) => [known, ...below(known.pid)]);
  return below(pid);
}

/** Which of these still run. */
export const alive = (known: readonly Known[]): Known[] =>
  known.filter(({ pid, startedAt }) => look(pid)?.startedAt === startedAt);
