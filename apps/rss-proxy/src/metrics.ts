import type { WatchedFeeds } from '@balados/feeds-fetch';
import { exposeGauge } from '@balados/platform-service';
import { Counter, Histogram, Registry } from 'prom-client';

/** Counts questions to origins, and where copies were found before. */
export function watchFeeds(registry: Registry): Required<WatchedFeeds> {
  const registers = [registry];
  const asked = new Counter({
    name: 'feeds_asked_total',
    help: 'Questions to origins, by what came of them.',
    labelNames: ['outcome'],
    registers,
  });
  const seconds = new Histogram({
    name: 'feeds_asked_seconds',
    help: 'Time of a question to an origin, with reading what it answers.',
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20],
    registers,
  });
  const lookups = new Counter({
    name: 'feeds_cache_lookups_total',
    help: 'Copies that were looked for in memory, and then in Redis: given as it is, old, or none.',
    labelNames: ['tier', 'result'],
    registers,
  });
  return {
    onAsked: (outcome, took) => {
      asked.inc({ outcome });
      seconds.observe(took);
    },
    onLooked: (tier, result) => lookups.inc({ tier, result }),
  };
}

/** What the cache holds, read whenever Prometheus asks. */
export function exposeHeld(registry: Registry, size: () => { feeds: number; bytes: number }): void {
  exposeGauge(registry, 'feeds_held', 'Feeds in memory.', () => size().feeds);
  exposeGauge(registry, 'feeds_held_bytes', 'Memory that they take.', () => size().bytes);
}
