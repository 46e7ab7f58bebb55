import { SingleBar } from 'cli-progress';

/** How far a job is, for whoever waits for it. */
export interface Progress {
  /** So many steps lie ahead; once. */
  begin(steps: number): void;
  done(steps?: number): void;
}

export const SILENT: Progress = { begin: () => undefined, done: () => undefined };

/** A bar on a terminal; nothing elsewhere, where the line at the end is enough. */
export function barOn(output: NodeJS.WriteStream, doing: string): Progress & { stop(): void } {
  if (!output.isTTY) return { ...SILENT, stop: () => undefined };
  const bar = new SingleBar({ format: '{bar} {percentage} % | {doing}', hideCursor: true, clearOnComplete: true });
  return {
    begin: (steps) => bar.start(steps, 0, { doing }),
    done: (steps = 1) => bar.increment(steps, { doing }),
    stop: () => bar.stop(),
  };
}
