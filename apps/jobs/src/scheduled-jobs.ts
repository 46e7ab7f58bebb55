import { BeforeApplicationShutdown, Inject, Injectable, OnApplicationBootstrap } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { applyDefaultPrivacy } from '@balados/site-projections';
import { JOBS } from './jobs';
import type { Job, JobParts, JobsDependencies } from './jobs';
import type { Metrics } from './metrics';
import { SILENT } from './progress';
import { asLeader, Ran, runJob } from './run-job';

export const JOBS_DEPENDENCIES = Symbol('dependencies of the jobs');
export const JOBS_METRICS = Symbol('metrics of the jobs');

/** What the replicas lock while one of them applies its default privacy ("jobs" in hexadecimal). */
const DEFAULT_PRIVACY_LOCK = 0x6a6f6273;

/** Runs the jobs by the clock: the urgent ones each for itself, the others in turn. */
@Injectable()
export class ScheduledJobs implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private isDefaultApplied = false;
  /** What this process is at. */
  private readonly underWay = new Set<string>();
  private readonly stopping = new AbortController();

  constructor(
    @Inject(JOBS_DEPENDENCIES) private readonly dependencies: JobsDependencies,
    @Inject(JOBS_METRICS) private readonly metrics: Metrics,
    private readonly scheduler: SchedulerRegistry,
  ) {}

  /** Begins, and does not keep the service from starting: the tables may not be there yet. */
  onApplicationBootstrap(): void {
    void this.applyDefault();
    for (const job of JOBS.filter(({ urgentMs }) => urgentMs !== undefined))
      this.every(job.name, job.urgentMs!, () => this.run(job));
    this.every('round', this.dependencies.everyMs, () => this.round());
  }

  /** What is under way comes to its end soon, and nothing else is begun. */
  beforeApplicationShutdown(): void {
    this.stopping.abort();
  }

  /** Every job that is not urgent, in turn. */
  async round(): Promise<void> {
    await this.applyDefault();
    for (const job of JOBS) if (job.urgentMs === undefined && (await this.isDue(job))) await this.run(job);
  }

  /** True also where it cannot be told: then the job itself says why. */
  private async isDue({ rarely }: Job): Promise<boolean> {
    return rarely === undefined || rarely.isDue(this.parts()).catch(() => true);
  }

  private parts(): JobParts {
    return { ...this.dependencies, now: Date.now, signal: this.stopping.signal, progress: SILENT };
  }

  /** @returns undefined: this process is at it already, or stops */
  async run(job: Job): Promise<Ran | undefined> {
    if (this.stopping.signal.aborted) return undefined;
    return this.alone(job.name, () => runJob(job, this.parts(), this.metrics));
  }

  /**
   * Applies the configured default privacy to all that was, if another one is stored: once in the life of a process, so that copies
   * which are configured differently do not take turns for ever. The one that started last has the last word.
   */
  async applyDefault(): Promise<void> {
    const { site, log, defaultPrivacy, publicMinListeners } = this.dependencies;
    if (this.isDefaultApplied) return;
    try {
      await asLeader(site, DEFAULT_PRIVACY_LOCK, async () => {
        const rows = await applyDefaultPrivacy(site, { defaultPrivacy, publicMinListeners });
        this.isDefaultApplied = true;
        if (rows > 0)
          log.warn({ defaultPrivacy, rows }, 'another default privacy holds from now on, also for what was before');
      });
    } catch (error) {
      log.warn({ err: error }, 'the default privacy could not be applied; it is tried again with the next round');
    }
  }

  private every(name: string, milliseconds: number, work: () => Promise<unknown>): void {
    this.scheduler.addInterval(
      name,
      setInterval(() => void this.alone(`every ${name}`, work), milliseconds),
    );
  }

  private async alone<Result>(what: string, work: () => Promise<Result>): Promise<Result | undefined> {
    if (this.underWay.has(what)) return undefined;
    this.underWay.add(what);
    try {
      return await work();
    } finally {
      this.underWay.delete(what);
    }
  }
}
