import { StateCache } from '@balados/event-sourcing';
import { Gauge, Registry } from 'prom-client';

/** How full the cache of folded states is, read whenever Prometheus asks. */
export function exposeStateCache(registry: Registry, cache: StateCache): void {
  const gauge = (name: string, help: string, value: () => number): void => {
    const made: Gauge = new Gauge({ name, help, registers: [registry], collect: () => made.set(value()) });
  };
  gauge('state_cache_bytes', 'Bytes that the folded states held count for; at most STATE_CACHE_MB.', () => cache.bytes);
  gauge('state_cache_states', 'Folded states held.', () => cache.size);
}
