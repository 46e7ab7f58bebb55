import { StateCache } from '@balados/event-sourcing';
import { Gauge, Registry } from 'prom-client';

/** Read whenever Prometheus asks. */
function gauge(registry: Registry, name: string, help: string, value: () => number): void {
  const made: Gauge = new Gauge({ name, help, registers: [registry], collect: () => made.set(value()) });
}

/** How full the cache of folded states is. */
export function exposeStateCache(registry: Registry, cache: StateCache): void {
  gauge(
    registry,
    'state_cache_bytes',
    'Bytes that the folded states held count for; at most STATE_CACHE_MB.',
    () => cache.bytes,
  );
  gauge(registry, 'state_cache_states', 'Folded states held.', () => cache.size);
}

export const exposeEventStreams = (registry: Registry, streams: { size: number }): void =>
  gauge(registry, 'event_streams_open', 'Devices that are told of changes as they are made.', () => streams.size);
