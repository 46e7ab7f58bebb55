import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** What docs/metrics.md says of a metric. */
export interface DocumentedMetric {
  name: string;
  labels: string[];
  /** Names of services, or `all`. */
  services: string[];
  isHistogram: boolean;
}

const list = (cell: string): string[] => cell.split(',').flatMap((part) => part.trim().replaceAll('`', '') || []);

export function documentedMetrics(): DocumentedMetric[] {
  const text = readFileSync(resolve(__dirname, '../../docs/metrics.md'), 'utf8');
  const rows = text.split('\n').filter((line) => line.startsWith('| `'));
  return rows.map((row) => {
    const [, name, labels, services, says] = row.split('|') as [string, string, string, string, string];
    const isHistogram = says.trim().startsWith('histogram:');
    return { name: list(name)[0]!, labels: list(labels), services: list(services), isHistogram };
  });
}

export interface Metric {
  type: string;
  samples: { name: string; labels: Record<string, string>; value: number }[];
}

const SAMPLE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** Reads Prometheus' text format. @throws Error when a metric is there twice, or a sample is of none */
export function parseMetrics(text: string): Map<string, Metric> {
  const metrics = new Map<string, Metric>();
  let current = '';
  for (const line of text.split('\n')) {
    const [, name, type] = /^# TYPE (\S+) (\w+)$/.exec(line) ?? [];
    if (name) {
      if (metrics.has(name)) throw new Error(`${name} is there twice`);
      metrics.set((current = name), { type: type!, samples: [] });
    } else if (line !== '' && !line.startsWith('#')) {
      const [, sample, labels = '', value] = SAMPLE.exec(line) ?? [];
      if (!sample?.startsWith(current)) throw new Error(`${line} stands below ${current}`);
      metrics.get(current)!.samples.push({
        name: sample,
        labels: Object.fromEntries([...labels.matchAll(LABEL)].map(([, label, given]) => [label!, given!])),
        value: Number(value),
      });
    }
  }
  return metrics;
}

/** Those of Node and of the process, which prom-client names. */
export const isOfNode = (name: string): boolean => /^(?:nodejs|process)_/.test(name);
