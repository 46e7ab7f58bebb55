import { plot } from 'asciichart';
import { MIX_KINDS } from '../bench/mix';
import {
  megabytes,
  milliseconds,
  percent,
  percentiles,
  perSecond,
  printTable,
  Row,
  say,
  spread,
} from '../bench/report';
import { SteadyLoad, Taken } from './load';
import { Sample } from './sample';
import { floor, Point, rise, thirds } from './verdict';

/** What is not counted: caches fill, code is compiled. Of all the time, and at least so many milliseconds of it. */
const WARM_UP_SHARE = 1 / 6;
const WARM_UP_LEAST_MS = 20_000;
/** In this much time a heap that is in use is collected, in milliseconds. */
const COLLECTED_WITHIN_MS = 60_000;
/** By how much memory may rise after the warm-up: of its mean, and of a small one in bytes. */
const RISE_SHARE = 0.1;
const RISE_LEAST = 10 * 1_048_576;
/** How far behind projectors may be at any time, in milliseconds. */
const LAG_LIMIT_MS = 5_000;
/** By how much the p99 of the last third may be above that of the first. */
const SLOWER_SHARE = 0.5;
const SLOWER_LEAST_MS = 10;
const CHART = { height: 8, offset: 2 };
const CHART_WIDTH = 90;

export interface Soaked {
  samples: Sample[];
  load: SteadyLoad;
  rate: number;
  /** As much as it can do, where that was measured. */
  full?: number;
  forMs: number;
}

/** @returns whether all is well */
export function reportSoak({ samples, load, rate, full, forMs }: Soaked): boolean {
  const from = Math.min(Math.max(WARM_UP_SHARE * forMs, WARM_UP_LEAST_MS), forMs / 2);
  const counted = samples.filter(({ at }) => at >= from);
  const rows: Row[] = [
    ...memoryRows(counted),
    lagRow(counted),
    ...timeRows(load, from, forMs),
    {
      what: 'requests that failed',
      measured: `${load.errors.length} of ${(load.taken.length + load.errors.length).toLocaleString('en')}`,
      goal: '0',
      met: load.errors.length === 0,
    },
  ];
  const ofFull = full === undefined ? '' : ` of at most ${perSecond(full)}`;
  say(`\nAt ${perSecond(rate)}${ofFull}; the first ${Math.round(from / 1_000)} s are not counted.`);
  printProcesses(counted);
  printTimes(load.taken.filter(({ due }) => due >= from));
  chart(
    'Memory of all services, MB',
    samples.map(({ used }) => sumOf([...used.values()].map(({ resident }) => resident)) / 1_048_576),
  );
  chart(
    'From a write until it is in all read models, ms',
    samples.map(({ lagMs }) => lagMs),
  );
  for (const kind of MIX_KINDS)
    chart(
      `p99 of each ${kind}, ms`,
      samples.slice(1).map(({ at }, index) => {
        const since = samples[index]!.at;
        const times = load.taken.filter((each) => each.kind === kind && each.due >= since && each.due < at);
        return times.length === 0 ? 0 : spread(times.map(({ ms }) => ms)).p99;
      }),
    );
  for (const { due, what } of load.errors.slice(0, 20)) say(`failed after ${Math.round(due / 1_000)} s: ${what}`);
  printTable(rows);
  return rows.every(({ met }) => met !== false);
}

const sumOf = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);
const meanOf = (values: readonly number[]): number => sumOf(values) / values.length;
const namesIn = ([first]: readonly Sample[]): string[] => [...first!.used.keys()].sort();

function pointsOf(samples: readonly Sample[], name: string, figure: 'resident' | 'heap'): Point[] {
  return samples.flatMap(({ at, used }): Point[] => {
    const value = used.get(name)?.[figure];
    return value === undefined ? [] : [[at, value]];
  });
}

/** Of a process with a heap, the rise of what collections leave of it; of others that of their memory. */
function memoryRows(samples: readonly Sample[]): Row[] {
  return namesIn(samples).flatMap((name) =>
    (['resident', 'heap'] as const).flatMap((figure): Row[] => {
      const points = floor(pointsOf(samples, name, figure), COLLECTED_WITHIN_MS);
      if (points.length === 0) return [];
      const risen = rise(points);
      const limit = Math.max(RISE_SHARE * meanOf(points.map(([, value]) => value)), RISE_LEAST);
      return [
        {
          what: `${figure === 'heap' ? 'heap after collections' : 'memory'} of ${name}`,
          measured: `${megabytes(points[0]![1])} to ${megabytes(points.at(-1)![1])}, rises by ${megabytes(risen)}`,
          goal: `at most ${megabytes(limit)}`,
          met: risen <= limit,
        },
      ];
    }),
  );
}

function lagRow(samples: readonly Sample[]): Row {
  const lags = samples.map(({ lagMs }) => lagMs);
  const most = Math.max(...lags);
  return {
    what: 'from a write until it is in all read models',
    measured: `${percentiles(spread(lags))}, most ${milliseconds(most)}`,
    goal: `at most ${milliseconds(LAG_LIMIT_MS)}`,
    met: most <= LAG_LIMIT_MS,
  };
}

function timeRows({ taken }: SteadyLoad, from: number, to: number): Row[] {
  return MIX_KINDS.map((kind) => {
    const { first, last } = thirds(
      taken.filter((each) => each.kind === kind),
      ({ due }) => due,
      from,
      to,
    );
    const [before, after] = [first, last].map((times) => spread(times.map(({ ms }) => ms)).p99) as [number, number];
    const limit = Math.max(before * (1 + SLOWER_SHARE), before + SLOWER_LEAST_MS);
    return {
      what: `p99 of each ${kind}, first third and last`,
      measured: `${milliseconds(before)}, ${milliseconds(after)}`,
      goal: `at most ${milliseconds(limit)}`,
      met: after <= limit,
    };
  });
}

function printProcesses(samples: readonly Sample[]): void {
  const [first, last] = [samples[0]!, samples.at(-1)!];
  const lasted = last.at - first.at;
  console.table(
    Object.fromEntries(
      namesIn(samples).map((name) => {
        const heaps = pointsOf(samples, name, 'heap').map(([, value]) => value);
        const residents = pointsOf(samples, name, 'resident').map(([, value]) => value);
        const worked = (last.used.get(name)?.processorMs ?? 0) - (first.used.get(name)?.processorMs ?? 0);
        const columns = {
          'memory, mean': megabytes(meanOf(residents)),
          most: megabytes(Math.max(...residents)),
          'heap, mean': heaps.length > 0 ? megabytes(meanOf(heaps)) : '',
          'of a processor': percent(worked / lasted),
        };
        return [name, columns];
      }),
    ),
  );
}

function printTimes(taken: readonly Taken[]): void {
  for (const kind of MIX_KINDS) {
    const times = taken.filter((each) => each.kind === kind).map(({ ms }) => ms);
    say(`${kind.padEnd(12)} ${times.length.toLocaleString('en').padStart(10)} answered, ${percentiles(spread(times))}`);
  }
}

function chart(what: string, values: readonly number[]): void {
  const each = Math.max(1, Math.ceil(values.length / CHART_WIDTH));
  const shown = Array.from({ length: Math.ceil(values.length / each) }, (_, part) =>
    Math.max(...values.slice(part * each, (part + 1) * each)),
  );
  say(`\n${what}`);
  say(plot(shown, { ...CHART, min: 0, format: (value) => value.toFixed(1).padStart(9) }));
}
