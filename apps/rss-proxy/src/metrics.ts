import { Counter, Gauge, Registry } from 'prom-client';

/** What became of questions to origins: to be called with each outcome. */
export function countAsked(registry: Registry): (outcome: string) => void {
  const asked = new Counter({
    name: 'feeds_asked_total',
    help: 'Questions to origins, by what came of them.',
    labelNames: ['outcome'],
    registers: [registry],
  });
  return (outcome) => asked.inc({ outcome });
}

/** What the cache holds, read whenever Prometheus asks. */
export function exposeHeld(registry: Registry, size: () => { feeds: number; bytes: number }): void {
  const figures = { feeds_held: 'Feeds in memory.', feeds_held_bytes: 'Memory that they take.' };
  for (const [name, help] of Object.entries(figures))
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(name === 'feeds_held' ? size().feeds : size().bytes);
      },
    });
}
