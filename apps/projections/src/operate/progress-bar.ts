import { RebuildProgress } from '@balados/platform-stores';
import { SingleBar } from 'cli-progress';

/** Where there is no terminal, a line is written this often, in milliseconds. */
export const LINE_EVERY_MS = 10_000;

/** How far a rebuild is: a bar on a terminal, elsewhere a line now and then. */
export function showProgress(
  name: string,
  output: NodeJS.WriteStream,
): { show(progress: RebuildProgress): void; stop(): void } {
  if (!output.isTTY) {
    let next = 0;
    return {
      show(progress) {
        if (performance.now() < next) return;
        next = performance.now() + LINE_EVERY_MS;
        output.write(`${name}: ${(100 * progress.share).toFixed(1)} %, ${detailsOf(progress)}\n`);
      },
      stop: () => undefined,
    };
  }
  const bar = new SingleBar({
    format: `${name} {bar} {percentage} % | {details}`,
    hideCursor: true,
    clearOnComplete: true,
  });
  bar.start(100, 0, { details: '' });
  return {
    show: (progress) => bar.update(Math.floor(100 * progress.share), { details: detailsOf(progress) }),
    stop: () => bar.stop(),
  };
}

function detailsOf({ events, perSecond, secondsLeft, processes, trouble }: RebuildProgress): string {
  const parts = [
    `${events.toLocaleString('en')} events`,
    `${Math.round(perSecond).toLocaleString('en')}/s`,
    secondsLeft === undefined ? 'time left unknown' : `${timeOf(secondsLeft)} left`,
    ...(processes > 1 ? [`${processes} processes`] : []),
    ...(trouble ? [trouble] : []),
  ];
  return parts.join(', ');
}

const timeOf = (seconds: number): string =>
  seconds < 90
    ? `${Math.round(seconds)} s`
    : seconds < 5_400
      ? `${Math.round(seconds / 60)} min`
      : `${(seconds / 3_600).toFixed(1)} h`;
