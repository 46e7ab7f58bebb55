/** One line of the result. `met` is undefined for a figure without a goal of its own. */
export interface Row {
  what: string;
  measured: string;
  ceiling?: string;
  goal?: string;
  met?: boolean;
}

/** Spread of some times, in milliseconds. */
export interface Spread {
  p50: number;
  p99: number;
}

export const say = (line: string): void => void process.stdout.write(`${line}\n`);

/** @throws Error for no times at all: nothing was measured */
export function spread(times: readonly number[]): Spread {
  if (times.length === 0) throw new Error('no time was measured');
  const sorted = [...times].sort((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.ceil(share * sorted.length) - 1)]!;
  return { p50: at(0.5), p99: at(0.99) };
}

export const perSecond = (rate: number): string => `${Math.round(rate).toLocaleString('en')}/s`;
export const milliseconds = (time: number): string => `${time < 10 ? time.toFixed(1) : Math.round(time)} ms`;
/** A closed loop's latencies, and what making the requests cost on the same machine. */
export const loadDetails = (load: Spread & { cores: number }): string =>
  `${percentiles(load)}; generator ${load.cores.toFixed(1)} cores`;
export const percentiles = ({ p50, p99 }: Spread): string => `p50 ${milliseconds(p50)}, p99 ${milliseconds(p99)}`;
export const megabytes = (bytes: number): string => `${Math.round(bytes / 1_048_576)} MB`;
export const percent = (share: number): string => `${Math.round(share * 100)} %`;

const HEADINGS = ['figure', 'measured', 'ceiling, same run', 'goal', ''];

/** All rows under each other, and which goals were missed. */
export function printTable(rows: readonly Row[]): void {
  const verdict = ({ met }: Row): string => (met === undefined ? '' : met ? 'met' : 'MISSED');
  const lines = [
    HEADINGS,
    ...rows.map((row) => [row.what, row.measured, row.ceiling ?? '', row.goal ?? '', verdict(row)]),
  ];
  const widths = HEADINGS.map((_, column) => Math.max(...lines.map((line) => line[column]!.length)));
  const [headings, ...body] = lines.map((line) =>
    line
      .map((cell, column) => cell.padEnd(widths[column]!))
      .join('  ')
      .trimEnd(),
  );
  say(`\n${headings}\n${widths.map((width) => '-'.repeat(width)).join('  ')}`);
  body.forEach(say);
  const missed = rows.filter(({ met }) => met === false);
  const judged = rows.filter(({ met }) => met !== undefined);
  say(`\n${judged.length - missed.length} of ${judged.length} goals met.`);
  for (const { what, measured, goal } of missed) say(`  missed: ${what}: ${measured}; goal ${goal}`);
}
