import { Counter, Gauge, Registry } from 'prom-client';
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
  /** Reads the journal whenever Prometheus asks. */
  watch(journal: Journal): void;
}

export function createMetrics(registry: Registry): Metrics {
  const registers = [registry];
  const counter = <Label extends string>(name: string, help: string, label: Label): Counter<Label> =>
    new Counter({ name, help, labelNames: [label], registers });
  const answers = counter('play_links_total', 'Play links answered, by what came of it.', 'outcome');
  const deliveries = counter('play_deliveries_total', 'Plays taken from the journal to the event store.', 'result');
  const losses = counter('play_lost_total', 'Plays that were redirected and will not be counted.', 'reason');
  const gauge = (name: string, help: string, value: () => number): void => {
    const made: Gauge = new Gauge({ name, help, registers, collect: () => made.set(value()) });
  };
  return {
    answered: (outcome) => answers.inc({ outcome }),
    delivered: (result) => deliveries.inc({ result }),
    lost: (reason, plays) => losses.inc({ reason }, plays),
    watch: (journal) => {
      gauge('play_journal_plays', 'Plays in the journal that wait for their delivery.', () => journal.waiting);
      gauge('play_journal_bytes', 'Bytes of the journal; at most PLAY_JOURNAL_MB.', () => journal.bytes);
    },
  };
}
