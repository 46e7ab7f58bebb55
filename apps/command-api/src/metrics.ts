import { StateCache } from '@balados/event-sourcing';
import { exposeGauge, exposeLookups } from '@balados/platform-service';
import type { Registry } from 'prom-client';

/** How full the cache of folded states is, and how often it helps, read whenever Prometheus asks. */
export function exposeStateCache(registry: Registry, cache: StateCache): void {
  const bytes = 'Bytes that the folded states held count for; at most STATE_CACHE_MB.';
  exposeGauge(registry, 'state_cache_bytes', bytes, () => cache.bytes);
  exposeGauge(registry, 'state_cache_states', 'Folded states held.', () => cache.size);
  const lookups = 'Commands and own reads that found a folded state here, or had none.';
  exposeLookups(registry, 'state_cache_lookups_total', lookups, cache.lookups);
}

export const exposeEventStreams = (registry: Registry, streams: { size: number }): void =>
  exposeGauge(registry, 'event_streams_open', 'Devices that are told of changes as they are made.', () => streams.size);
