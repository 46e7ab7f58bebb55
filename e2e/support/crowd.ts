import { waitFor } from '@balados/testing';
import { newListener } from './client';
import { allListeners, contradictions, expectTablesToEqualTheLog, histories, untilProjected } from './comparison';
import { randomFrom, report } from './limits';
import { LogReader } from './log';
import { System } from './system';
import { Writer } from './writer';

export const SHARED_FEEDS = ['https://shared.example/one.xml', 'https://shared.example/two.xml'];

/** Many listeners who write at the same time, on feeds of their own and on feeds that all share. */
export class Crowd {
  private readonly stopping = new AbortController();
  private readonly running: Promise<void>;
  private failure: unknown;

  private constructor(
    private readonly system: System,
    readonly writers: readonly Writer[],
  ) {
    this.running = Promise.all(writers.map((writer) => writer.run(this.stopping.signal))).then(
      () => undefined,
      (error: unknown) => {
        this.failure = error;
        this.stopping.abort();
      },
    );
  }

  static async start(system: System, size: number, seed: number): Promise<Crowd> {
    const devices = await Promise.all(Array.from({ length: size }, () => newListener(system.listeners)));
    const writers = devices.map((device, index) => {
      const own = `https://own-${index}.example/feed.xml`;
      return new Writer(device, { random: randomFrom(seed + 1 + index), feeds: [own, ...SHARED_FEEDS] });
    });
    return new Crowd(system, writers);
  }

  get acknowledged(): number {
    return this.sum('acknowledged');
  }

  /** Times that a write was not answered, or by 503. */
  get unavailable(): number {
    return this.sum('unavailable');
  }

  /** Waits until so many more writes were acknowledged. @throws what a writer found wrong meanwhile */
  async untilAcknowledged(more: number): Promise<void> {
    const goal = this.acknowledged + more;
    await waitFor(() => this.failure !== undefined || this.acknowledged >= goal, { what: `${more} more writes` });
    if (this.failure) throw this.failure;
  }

  /** Each writer finishes the write that it is at. @throws what a writer found wrong */
  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
    if (this.failure) throw this.failure;
  }

  /** Waits until the tables hold what is in the log now; the writing goes on. */
  async untilProjected(): Promise<void> {
    const log = new LogReader(this.system.eventStore);
    try {
      await untilProjected(this.system, await histories(log, await allListeners(this.system.database)));
    } finally {
      await log.close();
    }
  }

  /** After the stop: log, tables and counts hold what was acknowledged, once. */
  async expectNothingLostNorDoubled(): Promise<void> {
    const log = new LogReader(this.system.eventStore);
    try {
      // Everybody's, since podcasts are shared with crowds before.
      const found = await histories(log, await allListeners(this.system.database));
      const problems = this.writers.flatMap(({ userId, effects }) =>
        contradictions(effects, found.get(userId)!).map((problem) => `${userId}: ${problem}`),
      );
      expect(problems).toEqual([]);
      await untilProjected(this.system, found);
      await expectTablesToEqualTheLog(this.system, found);
      report(
        `${this.acknowledged} writes acknowledged, ${this.sum('givenUp')} given up, ${this.sum('readBack')} read back; ` +
          `${[...found.values()].flatMap(({ subscriptions, listening }) => [subscriptions, listening]).flat().length} events`,
      );
    } finally {
      await log.close();
    }
  }

  private sum(figure: 'acknowledged' | 'givenUp' | 'readBack' | 'unavailable'): number {
    return this.writers.reduce((sum, writer) => sum + writer[figure], 0);
  }
}
