import { statfs } from 'node:fs/promises';
import { exposeGauge } from '@balados/platform-service';
import { Counter, Registry } from 'prom-client';
import { Delivered } from './delivery';
import { Journal, LossReason } from './journal';

/**
 * How a link was answered: redirected and counted as a play, redirected as a repeat or as no play at all (a part, a look, a bot), or not:
 * the token is nobody's, the target is none of the feed's, or the feed cannot be asked.
 */
export type Answered = 'play' | 'repeat' | 'no_play' | 'unknown_token' | 'not_found' | 'unavailable';

export interface Metrics {
  answered(outcome: Answered): void;
  delivered(result: Delivered): void;
  lost(reason: LossReason, plays: number): void;
  /** Reads the journal, and the disk of its folder, whenever Prometheus asks. */
  watch(journal: Journal, folder: string): void;
}

export function createMetrics(registry: Registry): Metrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, label: Label): Counter<Label> =>
    new Counter({ name, help, labelNames: [label], registers });
  const answers = counter('play_links_total', 'Play links answered, by what came of it.', 'outcome');
  const deliveries = counter('play_deliveries_total', 'Plays taken from the journal to the event store.', 'result');
  const losses = counter('play_lost_total', 'Plays that were redirected and will not be counted.', 'reason');
  // Otherwise the first one would make the series, and be no increase.
  for (const reason of ['full', 'not_written'] satisfies LossReason[]) losses.inc({ reason }, 0);
  const gauge = (name: string, help: string, value: () => number | Promise<number>): void =>
    exposeGauge(registry, name, help, value);
  return {
    answered: (outcome) => answers.inc({ outcome }),
    delivered: (result) => deliveries.inc({ result }),
    lost: (reason, plays) => losses.inc({ reason }, plays),
    watch: (journal, folder) => {
      gauge('play_journal_plays', 'Plays in the journal that wait for their delivery.', () => journal.waiting);
      gauge('play_journal_bytes', 'Bytes of the journal.', () => journal.bytes);
      gauge('play_journal_limit_bytes', 'Bytes that it may have: PLAY_JOURNAL_MB.', () => journal.maxBytes);
      gauge(
        'play_journal_oldest_seconds',
        'How long the oldest play in the journal has waited at most; 0 without any.',
        () => journal.oldestSeconds,
      );
      gauge('play_journal_disk_free_bytes', 'Bytes that are free on the disk of the journal.', async () => {
        const { bavail, bsize } = await statfs(folder);
        return bavail * bsize;
      });
    },
  };
}
