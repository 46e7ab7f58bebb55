import { parseArgs } from 'node:util';
import { openFeedsClient } from '@balados/feeds-client';
import { ConfigError, createLogger, readConfig } from '@balados/platform-service';
import { isMigrated } from '@balados/platform-stores';
import { commandConfig } from './config';
import { openStores } from './dependencies';
import { Figures, Job, JOBS, JobsDependencies } from './jobs';
import { barOn } from './progress';
import { runJob } from './run-job';

const USAGE = `jobs <job>|all|list [--dry-run]

Runs one job, or all in turn, once and now, as the service does by the clock: where a replica of it is at a job, that is said and the
job is left alone. It reads the variables of the service; without FEEDS_URL no feed is asked for its title. --dry-run says what would
be done and changes nothing. Exit code: 0 done, 1 something failed or was stopped, 2 wrong usage, 3 somebody else is at a job.`;

export const EXIT = { done: 0, failed: 1, usage: 2, standby: 3 } as const;

export interface Output {
  line(text: string): void;
  /** Where a bar is drawn, if it is a terminal. */
  progress: NodeJS.WriteStream;
}

/** Runs jobs by hand. @returns the exit code */
export async function runCommand(args: readonly string[], env: NodeJS.ProcessEnv, output: Output): Promise<number> {
  const chosen = choose(args);
  if (typeof chosen === 'string') {
    output.line(chosen === '' ? USAGE : `${chosen}\n\n${USAGE}`);
    return chosen === '' ? EXIT.done : EXIT.usage;
  }
  if (chosen.isList) {
    for (const { name, does, urgentMs } of JOBS)
      output.line(`${name.padEnd(12)}${does}${urgentMs ? ` (every ${urgentMs / 1_000} s)` : ''}`);
    return EXIT.done;
  }
  const { jobs, isDry } = chosen;
  let config;
  try {
    config = readConfig(commandConfig, env);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    output.line(error.message);
    return EXIT.usage;
  }
  const feeds = config.FEEDS_URL === undefined ? undefined : openFeedsClient(config.FEEDS_URL);
  const log = createLogger('jobs', env['LOG_LEVEL'] ? config.LOG_LEVEL : 'silent');
  const stores = await openStores(config, log, feeds);
  const { dependencies } = stores;
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.on('SIGINT', stop).on('SIGTERM', stop);
  try {
    if (!((await isMigrated(dependencies.users)) && (await isMigrated(dependencies.site))))
      throw new Error('tables are missing: is projections of this version running?');
    let code: number = EXIT.done;
    for (const job of jobs) {
      if (stopping.signal.aborted) {
        output.line(`stopped before ${job.name}`);
        break;
      }
      code = worse(code, await runOne(job, dependencies, { isDry, signal: stopping.signal, output }));
    }
    // The one that was under way may have left some of its work undone, too.
    return stopping.signal.aborted ? EXIT.failed : code;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    feeds?.close();
    await stores.close();
  }
}

/** Of two exit codes: that somebody else is at one job does not hide that another failed. */
export const worse = (one: number, other: number): number =>
  one === EXIT.failed || other === EXIT.failed ? EXIT.failed : Math.max(one, other);

/** @returns what to do, or what is wrong with what was said: '' when somebody asks for help */
function choose(args: readonly string[]): string | { jobs: readonly Job[]; isDry: boolean; isList: boolean } {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { 'dry-run': { type: 'boolean', default: false }, help: { type: 'boolean', default: false } },
    });
    if (values.help) return '';
    const [name, ...more] = positionals;
    if (name === undefined || more.length > 0) return 'name one job, or all, or list';
    const jobs = name === 'all' || name === 'list' ? JOBS : JOBS.filter((job) => job.name === name);
    if (jobs.length === 0) return `no job ${name}: ${JOBS.map((job) => job.name).join(', ')}`;
    return { jobs, isDry: values['dry-run'], isList: name === 'list' };
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}

async function runOne(
  job: Job,
  dependencies: JobsDependencies,
  { isDry, signal, output }: { isDry: boolean; signal: AbortSignal; output: Output },
): Promise<number> {
  const startedAt = performance.now();
  const bar = barOn(output.progress, job.name);
  const say = (what: string): void => {
    bar.stop();
    output.line(`${job.name}: ${what} (${((performance.now() - startedAt) / 1_000).toFixed(1)} s)`);
  };
  const parts = { ...dependencies, now: Date.now, signal, progress: bar };
  if (isDry) {
    try {
      say(`${summary(await job.foresee(parts))}; nothing is changed`);
      return EXIT.done;
    } catch (error) {
      say(`failed: ${error instanceof Error ? error.message : error}`);
      return EXIT.failed;
    }
  }
  const { outcome, figures = {}, error } = await runJob(job, parts, { ran: () => undefined });
  if (outcome === 'done') say(summary(figures));
  else if (outcome === 'standby') say('somebody else is at it');
  else say(`failed: ${error instanceof Error ? error.message : error}`);
  return figures['failed'] ? EXIT.failed : EXIT[outcome];
}

const summary = (figures: Figures): string =>
  Object.entries(figures)
    .map(([name, figure]) => `${name} ${figure}`)
    .join(', ') || 'done';
