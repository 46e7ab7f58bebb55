import { exposeGauge } from '@balados/platform-service';
import { unfinishedErasures } from '@balados/users-accounts';
import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { lastRunOfEach } from './job-runs';
import { JOBS } from './jobs';
import type { Figures, JobsDependencies } from './jobs';
import { clocksApart } from './run-job';
import type { Outcome } from './run-job';
import { streamsDue } from './trimming';

export interface Metrics {
  /** `seconds`: how long it took. */
  ran(job: string, outcome: Outcome, seconds: number, figures: Figures | undefined): void;
}

/** What jobs do, and what waits for them: that is read whenever Prometheus asks, and stays as it was where a store does not answer. */
export function createMetrics(
  registry: Registry,
  waiting: Pick<
    JobsDependencies,
    'users' | 'site' | 'checkpointAfterMs' | 'dropAfterMs' | 'checkpointBatch' | 'everyMs' | 'scavengeEveryMs'
  >,
): Metrics {
  const registers = [registry];
  // Prometheus has a label of its own that is called `job`.
  const labelNames = ['job_name'] as const;
  const runs = new Counter({
    name: 'jobs_runs_total',
    help: 'Runs, by what came of them; standby: another replica was at it.',
    labelNames: ['job_name', 'outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'jobs_run_seconds',
    help: 'Time of a run.',
    labelNames,
    buckets: [0.01, 0.1, 1, 10, 60, 300],
    registers,
  });
  const rare = JOBS.filter(({ rarely }) => rarely).map(({ name }) => name);
  const lastSuccess = new Gauge({
    name: 'jobs_last_success_timestamp_seconds',
    help: 'When a run was last done: of this replica, or where runs are rare, of any.',
    labelNames,
    registers,
    async collect() {
      const last = await lastRunOfEach(waiting.site, rare).catch(() => []);
      for (const { job, outcome, beganAt } of last)
        if (outcome === 'done') this.set({ job_name: job }, beganAt.getTime() / 1_000);
    },
  });
  const drift = new Gauge({
    name: 'popularity_drift',
    help: 'Rows of counts and lists that the last comparison of this replica found to differ from the contributions: 0.',
    registers,
  });
  const interval = new Gauge({
    name: 'jobs_interval_seconds',
    help: 'Time from one run to the next.',
    labelNames,
    registers,
  });
  for (const { name, urgentMs, rarely } of JOBS) {
    const everyMs = rarely ? rarely.everyMs(waiting) : (urgentMs ?? waiting.everyMs);
    if (everyMs > 0) interval.set({ job_name: name }, everyMs / 1_000);
    // Otherwise the first one would make the series, and be no increase.
    runs.inc({ job_name: name, outcome: 'failed' }, 0);
  }
  const waits = (name: string, help: string, value: () => Promise<number>): void =>
    exposeGauge(registry, name, help, value);
  waits(
    'clocks_apart_seconds',
    'Between the clocks of this process and of Postgres.',
    async () => (await clocksApart(waiting.users, Date.now())) / 1_000,
  );
  waits('erasures_pending', 'Erasures that are not done.', async () => (await unfinishedErasures(waiting.users)).count);
  waits(
    'erasures_oldest_seconds',
    'Age of the oldest of them.',
    async () => (await unfinishedErasures(waiting.users)).oldestSeconds,
  );
  waits(
    'streams_due',
    'Streams that are due for a checkpoint, up to CHECKPOINT_BATCH.',
    async () => (await streamsDue({ ...waiting, now: Date.now })).length,
  );
  return {
    ran(job, outcome, took, figures) {
      runs.inc({ job_name: job, outcome });
      if (outcome === 'standby') return;
      seconds.observe({ job_name: job }, took);
      if (outcome === 'done') lastSuccess.set({ job_name: job }, Date.now() / 1_000);
      if (figures?.['differing'] !== undefined) drift.set(figures['differing']);
    },
  };
}
