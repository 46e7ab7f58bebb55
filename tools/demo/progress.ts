import { SingleBar } from 'cli-progress';

export interface Progress {
  /** Says what is being done. */
  doing(what: string): void;
  done(steps?: number): void;
  stop(): void;
}

/** A bar on a terminal; elsewhere a line for each thing that is being done. */
export function progressOf(total: number, output: NodeJS.WriteStream): Progress {
  if (!output.isTTY) {
    return { doing: (what) => void output.write(`${what}\n`), done: () => undefined, stop: () => undefined };
  }
  const bar = new SingleBar({ format: '{bar} {percentage} % | {doing}', hideCursor: true, clearOnComplete: true });
  let doing = '';
  bar.start(total, 0, { doing });
  return {
    doing: (what) => bar.increment(0, { doing: (doing = what) }),
    done: (steps = 1) => bar.increment(steps, { doing }),
    stop: () => bar.stop(),
  };
}
