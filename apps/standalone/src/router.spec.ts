import { createRegistry } from '@balados/platform-service';
import { Counter, Gauge } from 'prom-client';
import { merged, serviceFor, Services } from './router';

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

const named = (name: string) => ({ name });
const services = Object.fromEntries(
  ['command-api', 'projections', 'public-api', 'rss-proxy', 'play-gateway', 'jobs'].map((name) => [name, named(name)]),
) as unknown as Services;

it.each([
  ['/search.json?q=bread', 'public-api'],
  ['/search.opml', 'public-api'],
  ['/search.json/x', 'command-api'],
  ['/search', 'command-api'],
  ['/toplist/50.json', 'public-api'],
  ['/suggestions/10.json', 'command-api'],
  ['/api/2/tags/50.json', 'public-api'],
  ['/api/2/tag/news/50.json', 'public-api'],
  ['/api/2/data/podcast.json?url=x', 'public-api'],
  ['/api/2/devices/ada.json', 'command-api'],
  ['/api/2/tagged/ada.json', 'command-api'],
  ['/api/v1/public/timeline', 'public-api'],
])('%s is answered by %s', (path, name) => {
  expect(serviceFor(services, 'localhost:4000', path, 'play.localhost').name).toBe(name);
  expect(serviceFor(services, 'play.localhost:4000', path, 'play.localhost').name).toBe('play-gateway');
});
