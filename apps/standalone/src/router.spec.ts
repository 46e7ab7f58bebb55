import { createRegistry } from '@balados/platform-service';
import { Counter, Gauge } from 'prom-client';
import { merged } from './router';

it('puts together what several registries say of one metric, and loses nothing', async () => {
  const texts: string[] = [];
  for (const service of ['one', 'two']) {
    const registry = createRegistry(service);
    new Counter({ name: 'asked_total', help: 'Asked.', registers: [registry] }).inc();
    new Gauge({ name: `only_${service}`, help: 'Once.', registers: [registry] }).set(7);
    texts.push(await registry.metrics());
  }
  expect(merged(texts).split('\n')).toEqual([
    '# HELP asked_total Asked.',
    '# TYPE asked_total counter',
    'asked_total{service="one"} 1',
    'asked_total{service="two"} 1',
    '',
    '# HELP only_one Once.',
    '# TYPE only_one gauge',
    'only_one{service="one"} 7',
    '',
    '# HELP only_two Once.',
    '# TYPE only_two gauge',
    'only_two{service="two"} 7',
    '',
  ]);
});
