import { totalmem } from 'node:os';
import { constrainedMemory } from 'node:process';
import type { CommandObserver } from '@balados/event-sourcing';
import type { AppendObserver, PoolStatus } from '@balados/platform-stores';
import { isTracing, traced } from '@balados/platform-tracing';
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Lookups } from './kept-answers';
import type { OnRefused } from './rate-limits';

/* Every metric of ours is in docs/metrics.md, and what is there is here: a test holds the two together. Labels are of few values. */

/** A registry of the service's own: several services may live in one process. */
export function createRegistry(service: string): Registry {
  const registry = new Registry();
  registry.setDefaultLabels({ service });
  return registry;
}

/** Process-wide figures (memory, event loop, garbage collection); once a process. */
export function collectProcessMetrics(registry: Registry): void {
  collectDefaultMetrics({ register: registry });
  const help = 'Memory that the process may take: that of its container, or of the machine.';
  exposeGauge(registry, 'process_memory_limit_bytes', help, memoryLimit);
}

/** A limit that lies beyond the machine's memory is none. */
const memoryLimit = (): number => Math.min(constrainedMemory() || Infinity, totalmem());

/** A figure that is read whenever Prometheus asks; one that cannot be read stays as it was. */
export function exposeGauge(
  registry: Registry,
  name: string,
  help: string,
  value: () => number | undefined | Promise<number | undefined>,
): void {
  const gauge: Gauge = new Gauge({
    name,
    help,
    registers: [registry],
    collect: async () => {
      const found = await (async () => value())().catch(() => undefined);
      if (found !== undefined) gauge.set(found);
    },
  });
}

/** Hits and misses of a cache, which counts them itself. */
export function exposeLookups(registry: Registry, name: string, help: string, lookups: Lookups): void {
  const counter: Counter = new Counter({
    name,
    help,
    labelNames: ['result'],
    registers: [registry],
    collect: () => {
      counter.reset();
      counter.inc({ result: 'hit' }, lookups.hits);
      counter.inc({ result: 'miss' }, lookups.misses);
    },
  });
}

export function countCommands(registry: Registry): CommandObserver {
  const registers = [registry];
  const commands = new Counter({
    name: 'commands_total',
    help: 'Commands to the streams of listeners, by what came of them.',
    labelNames: ['command', 'outcome'],
    registers,
  });
  const conflicts = new Counter({
    name: 'command_conflicts_total',
    help: 'Appends before which somebody else had appended to the stream: the command was decided again.',
    labelNames: ['category'],
    registers,
  });
  return {
    handled: (command, outcome) => commands.inc({ command, outcome }),
    conflicted: (category) => conflicts.inc({ category }),
    ...(isTracing() && {
      around: (command, work) => traced(`command ${command}`, { 'balados.command': command }, work),
    }),
  };
}

export function countAppends(registry: Registry): AppendObserver {
  const registers = [registry];
  const seconds = new Histogram({
    name: 'event_store_append_seconds',
    help: 'Time of an append to the event store with all of its attempts, by what came of it.',
    labelNames: ['outcome'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 3, 10],
    registers,
  });
  const events = new Counter({
    name: 'event_store_appended_events_total',
    help: 'Events that the event store has acknowledged.',
    registers,
  });
  return (outcome, count, took) => {
    seconds.observe({ outcome }, took);
    if (outcome === 'appended') events.inc(count);
  };
}

export function countRefusals(registry: Registry): OnRefused {
  const refusals = new Counter({
    name: 'rate_limit_refusals_total',
    help: 'Requests that a limit refused, by the limit.',
    labelNames: ['limit'],
    registers: [registry],
  });
  return (limit) => refusals.inc({ limit });
}

/** Connections to Postgres by context; of a context that was not reached yet nothing is told. */
export function exposePools(registry: Registry, pools: Readonly<Record<string, () => PoolStatus | undefined>>): void {
  const expose = (name: string, help: string, labels: 'state'[], of: (pool: PoolStatus) => Record<string, number>) =>
    new Gauge({
      name,
      help,
      labelNames: ['context', ...labels],
      registers: [registry],
      collect() {
        for (const [context, status] of Object.entries(pools)) {
          const pool = status();
          if (!pool) continue;
          for (const [state, value] of Object.entries(of(pool)))
            this.set(labels.length > 0 ? { context, state } : { context }, value);
        }
      },
    });
  expose('postgres_connections', 'Connections to Postgres that are open.', ['state'], ({ used, idle }) => ({
    used,
    idle,
  }));
  expose('postgres_connections_max', 'Connections that may be open.', [], ({ max }) => ({ max }));
  expose('postgres_connections_waiting', 'Queries that wait for a connection.', [], ({ waiting }) => ({ waiting }));
}
