// Makes kubernetes.json of the types in @kubernetes/client-node, which are made of Kubernetes' own OpenAPI document:
// npm pack @kubernetes/client-node@2.0.1 && tar xzf kubernetes-client-node-2.0.1.tgz && node deploy/schemas/from-kubernetes-client.mjs package
import { readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

/** The kinds in deploy/kubernetes, by their class. */
const KINDS = {
  'v1 ConfigMap': 'V1ConfigMap',
  'v1 Namespace': 'V1Namespace',
  'v1 PersistentVolumeClaim': 'V1PersistentVolumeClaim',
  'v1 Secret': 'V1Secret',
  'v1 Service': 'V1Service',
  'apps/v1 Deployment': 'V1Deployment',
  'apps/v1 StatefulSet': 'V1StatefulSet',
  'autoscaling/v2 HorizontalPodAutoscaler': 'V2HorizontalPodAutoscaler',
  'networking.k8s.io/v1 Ingress': 'V1Ingress',
  'networking.k8s.io/v1 NetworkPolicy': 'V1NetworkPolicy',
  'policy/v1 PodDisruptionBudget': 'V1PodDisruptionBudget',
};
const [folder] = process.argv.slice(2);
const definitions = {};
let release;

function schemaOf(type) {
  const list = /^Array<(.+)>$/.exec(type);
  if (list) return { type: 'array', items: schemaOf(list[1]) };
  const map = /^\{ \[key: string\]: (.+); \}$/.exec(type);
  if (map) return { type: 'object', additionalProperties: schemaOf(map[1]) };
  if (type === 'IntOrString') return { type: ['integer', 'string'] };
  if (['string', 'number', 'boolean'].includes(type)) return { type };
  if (type === 'Date' || type === 'V1MicroTime') return { type: 'string', format: 'date-time' };
  if (type === 'any') return {};
  define(type);
  return { $ref: `#/definitions/${type}` };
}

function define(name) {
  if (name in definitions) return;
  const schema = (definitions[name] = { type: 'object', additionalProperties: false, properties: {}, required: [] });
  const text = readFileSync(resolve(folder, `dist/gen/models/${name}.d.ts`), 'utf8');
  release ??= /OpenAPI spec version: (\S+)/.exec(text)[1];
  for (const [, property, optional, type] of text
    .replace(/\{\s+(\[key: string\]: .+;)\s+\}/g, '{ $1 }')
    .matchAll(/^ {4}'_?(\S+)'(\?)?: (.+);$/gm)) {
    schema.properties[property] = schemaOf(type);
    if (!optional) schema.required.push(property);
  }
}

const kinds = Object.fromEntries(Object.entries(KINDS).map(([kind, name]) => [kind, schemaOf(name)]));
const { version } = JSON.parse(readFileSync(resolve(folder, 'package.json'), 'utf8'));
const source = `@kubernetes/client-node ${version} (Apache-2.0), made of Kubernetes' OpenAPI document ${release}`;
writeFileSync(resolve(import.meta.dirname, 'kubernetes.json'), `${JSON.stringify({ source, kinds, definitions })}\n`);
