import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { delimiter, join, resolve } from 'node:path';
import { parser } from '@prometheus-io/lezer-promql';
import { loadAll } from 'js-yaml';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { SERVICES } from './support/logins';
import { documentedMetrics } from './support/metrics';

/* The dashboard and the alerts that operators are given, held against what there is to watch, and against what is said of them. */

// Parts of documents are looked at by what is expected of them.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Document = any;

const read = (path: string): string => readFileSync(resolve(path), 'utf8');
const yaml = (path: string): Document => loadAll(read(path))[0];
const ALERTS = 'deploy/prometheus/alerts.yml';

/** Labels that Prometheus adds, and the one that all of ours have. */
const OF_ALL = ['service', 'instance', 'job'];
const DURATION = /^\d+[smhd]$/;
const HISTOGRAM_SUFFIX = /_(?:bucket|sum|count)$/;

/** By the name of a series, the labels that it may have. */
function known(): Map<string, string[]> {
  const labels = new Map<string, string[]>([
    ['up', []],
    ['ALERTS', ['alertname', 'alertstate']],
  ]);
  for (const metric of documentedMetrics()) {
    if (!metric.isHistogram) labels.set(metric.name, metric.labels);
    else for (const suffix of ['_bucket', '_sum', '_count']) labels.set(`${metric.name}${suffix}`, metric.labels);
  }
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  for (const { name } of registry.getMetricsAsArray()) labels.set(name, []);
  registry.clear();
  return labels;
}
const KNOWN = known();

/** What an expression asks for that is not there: metrics, and labels to choose or to group by. Empty when all is well. */
function unknownIn(expression: string): string[] {
  // Grafana fills these in.
  const text = expression.replaceAll('$__rate_interval', '5m');
  const unknown: string[] = [];
  const ofExpression = new Set(OF_ALL);
  const groupedBy: string[] = [];
  parser.parse(text).iterate({
    enter: ({ node, name, from, to, type }) => {
      if (type.isError) unknown.push(`no PromQL at ${from}: ${text}`);
      if (name === 'GroupingLabels')
        for (const label of node.getChildren('LabelName')) groupedBy.push(text.slice(label.from, label.to));
      if (name !== 'VectorSelector') return;
      const metric = text.slice(node.getChild('Identifier')?.from ?? from, node.getChild('Identifier')?.to ?? to);
      const labels = KNOWN.get(metric);
      if (!labels) unknown.push(metric);
      const own = [...OF_ALL, ...(labels ?? []), ...(metric.endsWith('_bucket') ? ['le'] : [])];
      for (const label of own) ofExpression.add(label);
      const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
      for (const matcher of matchers) {
        const label = matcher.getChild('LabelName')!;
        const asked = text.slice(label.from, label.to);
        if (!own.includes(asked)) unknown.push(`${metric}{${asked}}`);
      }
    },
  });
  return [...unknown, ...groupedBy.filter((label) => !ofExpression.has(label)).map((label) => `by ${label}`)];
}

it('sees what is not there', () => {
  expect(unknownIn('sum by (service) (rate(commands_total{outcome="failed"}[5m])) > 1')).toEqual([]);
  expect(unknownIn('sum(rate(event_store_append_seconds_bucket{le="1"}[$__rate_interval]))')).toEqual([]);
  expect(unknownIn('rate(event_store_append_seconds[5m])')).toEqual(['event_store_append_seconds']);
  expect(unknownIn('commands_total{user_id="a"}')).toEqual(['commands_total{user_id}']);
  expect(unknownIn('sum by (segment) (commands_total)')).toEqual(['by segment']);
  expect(unknownIn('sum(')).toEqual([expect.stringMatching(/^no PromQL/)]);
});

describe(ALERTS, () => {
  const rules: Document[] = yaml(ALERTS).groups.flatMap(({ rules }: Document) => rules);

  it.each(rules.map((rule) => [rule.alert, rule]))(
    '%s asks for what there is, and leads to what to do',
    (name, rule) => {
      expect(
        Object.keys(rule).filter((key) => !['alert', 'expr', 'for', 'labels', 'annotations'].includes(key)),
      ).toEqual([]);
      expect(unknownIn(rule.expr)).toEqual([]);
      if (rule.for !== undefined) expect(rule.for).toMatch(DURATION);
      expect(['critical', 'warning']).toContain(rule.labels.severity);
      expect(rule.annotations).toEqual({
        summary: expect.any(String),
        runbook_url: `docs/operations.md#${name.toLowerCase()}`,
      });
    },
  );

  it('has each alert once, and docs/operations.md says what each means, and of no others', () => {
    const names = rules.map(({ alert }) => alert as string);
    expect(new Set(names).size).toBe(names.length);
    const explained = [...read('docs/operations.md').matchAll(/^- <a id="(\w+)"><\/a>\*\*(\w+)\.\*\*/gm)];
    for (const [, anchor, name] of explained) expect(anchor).toBe(name!.toLowerCase());
    expect(explained.map(([, , name]) => name).sort()).toEqual(names.sort());
  });

  it('has each alert tried', () => {
    const tested = new Set(
      [...read('deploy/prometheus/alerts.test.yml').matchAll(/alertname="(\w+)"/g)].map(([, name]) => name),
    );
    expect([...tested].sort()).toEqual(rules.map(({ alert }) => alert).sort());
  });

  const promtool = (process.env.PATH ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'promtool'))
    .find(existsSync);
  (promtool ? it : it.skip)('is what promtool takes, and fires when it should', () => {
    const run = (...args: string[]): string => execFileSync(promtool!, args, { encoding: 'utf8' });
    expect(run('check', 'rules', ALERTS)).toContain('SUCCESS');
    expect(run('test', 'rules', 'deploy/prometheus/alerts.test.yml')).toContain('SUCCESS');
    expect(run('check', 'config', '--syntax-only', 'deploy/prometheus/prometheus.yml')).toContain('SUCCESS');
  });
});

describe('deploy/prometheus/prometheus.yml', () => {
  it('asks every service of docker-compose.yml where it is', () => {
    const jobs: Document[] = yaml('deploy/prometheus/prometheus.yml').scrape_configs;
    expect(jobs.map(({ job_name }) => job_name).sort()).toEqual([...SERVICES].sort());
    for (const { job_name, dns_sd_configs } of jobs)
      expect(dns_sd_configs).toEqual([expect.objectContaining({ names: [job_name], type: 'A', port: 4_000 })]);
  });

  it('is where docker-compose.yml looks for it, and so is all that Grafana is given', () => {
    const { services } = yaml('docker-compose.yml');
    for (const { profiles, volumes, ports } of [services.prometheus, services.grafana]) {
      expect(profiles).toEqual(['monitoring']);
      expect(ports).toEqual([expect.stringMatching(/^127\.0\.0\.1:/)]);
      for (const volume of volumes as string[])
        if (volume.startsWith('.'))
          expect([volume, existsSync(resolve(volume.split(':')[0]!))]).toEqual([volume, true]);
    }
    const [provider] = yaml('deploy/grafana/provisioning/dashboards/balados-sync.yml').providers;
    expect(services.grafana.volumes).toContain(`./deploy/grafana/dashboards:${provider.options.path}:ro`);
  });
});

describe.each(readdirSync(resolve('deploy/grafana/dashboards')))('deploy/grafana/dashboards/%s', (name) => {
  const { panels, templating } = JSON.parse(read(`deploy/grafana/dashboards/${name}`)) as Document;
  const graphs: Document[] = panels.filter(({ type }: Document) => type !== 'row');

  it('has panels beside each other, each of its own', () => {
    expect(new Set(panels.map(({ id }: Document) => id)).size).toBe(panels.length);
    const places = new Set<string>();
    for (const { title, gridPos } of panels) {
      expect([title, gridPos.x + gridPos.w <= 24]).toEqual([title, true]);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
          expect([title, places.has(`${x} ${y}`)]).toEqual([title, false]);
          places.add(`${x} ${y}`);
        }
    }
    expect(templating.list.map((each: Document) => [each.name, each.type])).toEqual([['datasource', 'datasource']]);
  });

  it.each(graphs.map((panel) => [panel.title, panel]))(
    'asks for what there is: %s',
    (_title, { targets, datasource }) => {
      expect(targets.length).toBeGreaterThan(0);
      for (const target of targets) {
        expect([datasource, target.datasource]).toEqual(Array(2).fill({ type: 'prometheus', uid: '${datasource}' }));
        expect(unknownIn(target.expr)).toEqual([]);
        // A legend names what the expression groups by.
        const shown = [...target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)].map(([, label]) => label);
        const isWhole = !/\bby\b/.test(target.expr);
        for (const label of shown)
          expect([target.expr, isWhole || target.expr.includes(label)]).toEqual([target.expr, true]);
      }
    },
  );

  it('shows what alerts are about', () => {
    const shown = JSON.stringify(graphs);
    const quiet = [
      'process_memory_limit_bytes',
      'erasures_oldest_seconds',
      'clocks_apart_seconds',
      'play_lost_total',
      'play_journal_disk_free_bytes',
      'up',
    ];
    const asked = new Set<string>();
    for (const { expr } of yaml(ALERTS).groups.flatMap(({ rules }: Document) => rules))
      for (const [name] of expr.matchAll(/\b[a-z]\w+\b/g))
        if (KNOWN.has(name)) asked.add(name.replace(HISTOGRAM_SUFFIX, ''));
    expect([...asked].filter((name) => !quiet.includes(name) && !shown.includes(name))).toEqual([]);
  });
});
