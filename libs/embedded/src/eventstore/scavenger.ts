import type { Limits } from './limits';
import type { Log } from './model';
import type { Writer } from './writer';

/** Streams looked up at once. */
const STREAMS_AT_ONCE = 100;

/**
 * Deletes for good what `$tb`, `$maxCount`, `$maxAge` and tombstones have hidden, a few rows at a time between two
 * commits. A tombstone itself stays. No position is ever given again: the log's end is kept apart from its events.
 */
export class Scavenger {
  private timer: NodeJS.Timeout | undefined;
  private running: Promise<number> = Promise.resolve(0);
  private runs = 0;
  private stopped = false;

  constructor(
    private readonly writer: Writer,
    private readonly limits: Limits,
    private readonly log: Log,
  ) {}

  /** Scavenges now and then, a bounded number of rows each time. */
  start(): void {
    this.timer = setInterval(() => {
      this.run(this.limits.scavengeRunRows).catch((error: Error) =>
        this.log('warn', 'a scavenge stopped early', { error: error.message }),
      );
    }, this.limits.scavengeEveryMs);
  }

  async stop(): Promise<void> {
    this.stopped = true;
    clearInterval(this.timer);
    await this.running.catch(() => undefined);
  }

  /** Deletes at most about `rows` events, all that is hidden by default; answers how many. One run after the other. */
  run(rows = Infinity): Promise<number> {
    this.runs += 1;
    this.running = this.running
      .catch(() => 0)
      .then(() => this.scavenge(rows))
      .finally(() => (this.runs -= 1));
    return this.running;
  }

  get isRunning(): boolean {
    return this.runs > 0;
  }

  private async scavenge(rows: number): Promise<number> {
    let deleted = 0;
    for (const step of [() => this.truncated(), () => this.aged()]) {
      for (let more = true; more && deleted < rows && !this.stopped;) {
        const found = await step();
        deleted += found.deleted;
        more = found.more;
      }
    }
    if (deleted > 0) this.log('info', 'scavenged', { deleted });
    return deleted;
  }

  private async truncated(): Promise<{ deleted: number; more: boolean }> {
    const { rows: streams } = await this.writer.query<{ name: string }>(
      'SELECT name FROM events.streams WHERE visible_from > scavenged_to ORDER BY name LIMIT $1',
      [STREAMS_AT_ONCE],
    );
    let deleted = 0;
    for (const { name } of streams) {
      if (this.stopped) break;
      // A stream is marked as done in the very statement that found less than it might have deleted.
      const { rows } = await this.writer.query<{ deleted: number }>(
        `WITH gone AS (
           DELETE FROM events.events WHERE position IN (
             SELECT e.position FROM events.streams s
             JOIN events.events e ON e.stream = s.name AND e.revision < s.visible_from
             WHERE s.name = $1 ORDER BY e.revision LIMIT $2)
           RETURNING 1
         ), done AS (
           UPDATE events.streams SET scavenged_to = visible_from WHERE name = $1 AND (SELECT count(*) FROM gone) < $2
         )
         SELECT count(*)::int AS deleted FROM gone`,
        [name, this.limits.scavengeRows],
      );
      deleted += rows[0]!.deleted;
    }
    return { deleted, more: streams.length > 0 };
  }

  private async aged(): Promise<{ deleted: number; more: boolean }> {
    const { rowCount } = await this.writer.query(
      `DELETE FROM events.events WHERE position IN (
         SELECT oldest.position FROM events.streams s
         CROSS JOIN LATERAL (
           SELECT e.position, e.created FROM events.events e WHERE e.stream = s.name ORDER BY e.revision LIMIT $2
         ) oldest
         WHERE s.max_age IS NOT NULL AND oldest.created < $1::bigint - s.max_age * 1000
         LIMIT $2)`,
      [Date.now(), this.limits.scavengeRows],
    );
    return { deleted: rowCount, more: rowCount > 0 };
  }
}
