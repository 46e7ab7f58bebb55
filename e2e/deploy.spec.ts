import { readdirSync, readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  ANSWER_TIMEOUT_MS,
  BODY_MAX_BYTES,
  KEEP_ALIVE_MS,
  readConfig,
  STANDSTILL_MS,
  STOP_TIMEOUT_MS,
} from '@balados/platform-service';
import Ajv2019 from 'ajv/dist/2019';
import { loadAll } from 'js-yaml';
import type { z } from 'zod';
import { ROLES, ServiceName, SERVICES } from './support/logins';

/* What operators are given, held against what it is for. No Docker and no Kubernetes is at hand where this runs. */

type Environment = Record<string, string>;
// Parts of documents are looked at by what is expected of them.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
type Document = any;

const read = (path: string): string => readFileSync(resolve(path), 'utf8');
const PORT = 4_000;
const BASE = 'deploy/kubernetes/base';
/** Says which app to run; the image's, not a service's. */
const OF_THE_IMAGE = ['SERVICE'];
const SAMPLES: Environment = {
  LINK_KEYS: 'A'.repeat(43),
  EVENTSTORE_URL: 'esdb://eventstore:2113?tls=false',
  USERS_DATABASE_URL: 'postgres://login:password@postgres:5432/balados',
  SITE_DATABASE_URL: 'postgres://login:password@postgres:5432/balados',
  REDIS_URL: 'redis://redis:6379',
  ADMIN_TOKEN: 'x'.repeat(32),
};
/** What the dashboard of jobs asks how they are. */
const ASKED = SERVICES.filter((service) => service !== 'jobs');
const askedOf = ({ DASHBOARD_SERVICES: services }: Environment): string[] => services!.split(',');

/** Schema of a service's environment, where it runs as a process of its own. */
function schemaOf(service: ServiceName): z.ZodObject {
  const { aloneConfig, config } = jest.requireActual(resolve(`apps/${service}/src/config.ts`)) as Record<
    string,
    z.ZodObject
  >;
  return (aloneConfig ?? config)!;
}

/** Each variable is one that the service reads, each that it needs is there, and it takes their values. */
function expectTaken(service: ServiceName, environment: Environment): void {
  const schema = schemaOf(service);
  const own = Object.fromEntries(Object.entries(environment).filter(([name]) => !OF_THE_IMAGE.includes(name)));
  expect(environment['SERVICE']).toBe(service);
  expect(Object.keys(own).filter((name) => !(name in schema.shape))).toEqual([]);
  expect(() => readConfig(schema, { ...own, PORT: String(PORT) })).not.toThrow();
}

/** As `docker compose` fills in variables, in what it has read as YAML: those without a default must be given. */
function filledIn(document: Document): Document {
  if (typeof document === 'string')
    return document.replace(
      /\$\{(\w+)(?::-([^}]*)|:\?)\}/g,
      (_, name: string, byDefault?: string) => byDefault ?? SAMPLES[name] ?? 'secret',
    );
  if (Array.isArray(document)) return document.map(filledIn);
  if (document === null || typeof document !== 'object') return document;
  return Object.fromEntries(Object.entries(document).map(([name, value]) => [name, filledIn(value)]));
}

const [compose] = loadAll(read('docker-compose.yml')).map(filledIn) as [Document];

describe('docker-compose.yml', () => {
  it('is what the Compose Specification says', () => {
    const schema = JSON.parse(read('deploy/schemas/compose-spec.json'));
    const validate = new Ajv2019({ strict: false, validateFormats: false }).compile(schema);
    validate(compose);
    expect(validate.errors).toBeNull();
    validate({ ...compose, services: { ...compose.services, jobs: { ...compose.services.jobs, envirnoment: {} } } });
    expect(validate.errors).not.toBeNull();
  });

  it.each(SERVICES)('gives %s the environment that it reads', (service) => {
    expectTaken(service, compose.services[service].environment);
  });

  it.each(SERVICES)('can run %s in any number', (service) => {
    const { container_name: name, ports, healthcheck, deploy, stop_grace_period: grace } = compose.services[service];
    expect([name, ports, healthcheck]).toEqual([undefined, undefined, undefined]);
    expect(deploy.resources.limits).toEqual({ cpus: expect.any(String), memory: expect.stringMatching(/^\d+[mg]$/) });
    expect(Number.parseInt(grace) * 1_000).toBeGreaterThan(STOP_TIMEOUT_MS);
  });

  it('lets rss-proxy and the proxy out, and nobody else', () => {
    expect(compose.networks.default.internal).toBe(true);
    const out = Object.entries<Document>(compose.services).filter(([, { networks }]) => networks?.includes('internet'));
    expect(out.map(([name]) => name)).toEqual(['rss-proxy', 'proxy']);
    // Those whom an operator starts beside, on a network of theirs.
    const others = Object.entries<Document>(compose.services).filter(([, { networks }]) =>
      networks?.includes('monitoring'),
    );
    expect(others.map(([name, { profiles }]) => [name, profiles])).toEqual([
      ['prometheus', ['monitoring']],
      ['grafana', ['monitoring']],
    ]);
  });

  it('tells the dashboard where the services are, and has none unless a token is given', () => {
    const { environment } = compose.services.jobs;
    expect(askedOf(environment).sort()).toEqual(ASKED.map((name) => `${name}=http://${name}:${PORT}`).sort());
    expect(environment.ADMIN_TOKEN).toBe('');
  });

  it('has each service log in as itself, in its role', () => {
    const script = read('deploy/postgres/logins.sh');
    const { postgres } = compose.services;
    for (const service of SERVICES) {
      const login = service.replace('-', '_');
      const [, roles] = new RegExp(`\\('balados_${login}', '\\{(.+)\\}'\\)`).exec(script)!;
      expect(roles!.split(',').sort()).toEqual(Object.values(ROLES[service]).sort());
      expect(script).toContain(`ALTER ROLE balados_${login} PASSWORD :'${login}';`);
      expect(script).toContain(`${login}="$${login.toUpperCase()}_PASSWORD"`);
      expect(postgres.environment).toHaveProperty(`${login.toUpperCase()}_PASSWORD`);
      const { environment } = compose.services[service];
      for (const [context, role] of Object.entries(ROLES[service])) {
        const url = new URL(environment[`${context.toUpperCase()}_DATABASE_URL`]);
        expect([url.username, url.searchParams.get('options')]).toEqual([`balados_${login}`, `-c role=${role}`]);
      }
    }
  });

  it('names all that must be given in deploy/compose.env', () => {
    const wanted = [...read('docker-compose.yml').matchAll(/\$\{(\w+):\?\}/g)].map(([, name]) => name!);
    const named = [...read('deploy/compose.env').matchAll(/^(\w+)=/gm)].map(([, name]) => name!);
    expect([...new Set(wanted)].filter((name) => !named.includes(name))).toEqual([]);
    expect(named.filter((name) => !read('docker-compose.yml').includes(`\${${name}:`))).toEqual([]);
  });
});

describe('the image', () => {
  const dockerfile = read('Dockerfile');
  it('runs the services as nobody in particular, on the port that they have, and asks them whether they live', () => {
    expect(dockerfile).toContain(`PORT=${PORT}`);
    expect(dockerfile).toMatch(/^USER 1000:1000$/m);
    expect(dockerfile).toContain('/healthz');
    const built = /for app in ([\w -]+);/.exec(dockerfile)![1]!.split(' ');
    expect(built.sort()).toEqual([...SERVICES].sort());
  });
});

describe('deploy/kubernetes', () => {
  const files = readdirSync(resolve(BASE)).filter((name) => name !== 'kustomization.yaml');
  const documents = (path: string): Document[] => loadAll(read(path)) as Document[];
  const all = files.flatMap((name) => documents(`${BASE}/${name}`));
  const { kinds, definitions } = JSON.parse(read('deploy/schemas/kubernetes.json'));
  const ajv = new Ajv2019({ strict: false, validateFormats: false }).addSchema({ $id: 'kubernetes', definitions });
  const errorsOf = (document: Document): unknown => {
    const schema = kinds[`${document.apiVersion} ${document.kind}`];
    if (!schema) throw new Error(`deploy/schemas has no ${document.apiVersion} ${document.kind}`);
    const validate = ajv.getSchema(`kubernetes${schema.$ref}`)!;
    validate(document);
    return validate.errors;
  };
  const of = (kind: string, name: string): Document =>
    all.find((document) => document.kind === kind && document.metadata.name === name);
  const workloadOf = (service: string): Document => of('Deployment', service) ?? of('StatefulSet', service);
  const containerOf = (service: string): Document => workloadOf(service).spec.template.spec.containers[0];

  it('is what Kubernetes says, kind by kind', () => {
    for (const document of all)
      expect([document.metadata.name, document.kind, errorsOf(document)]).toEqual([
        document.metadata.name,
        document.kind,
        null,
      ]);
    const misspelt = structuredClone(of('Deployment', 'jobs'));
    misspelt.spec.template.spec.containers[0].livenessprobe = {};
    expect(errorsOf(misspelt)).not.toBeNull();
  });

  it('names each file and only files that are there', () => {
    const [{ resources }] = documents(`${BASE}/kustomization.yaml`);
    expect(resources.filter((name: string) => name.endsWith('.yaml')).sort()).toEqual(files.sort());
    const [{ configMapGenerator }] = documents('deploy/nginx/kustomization.yaml');
    expect(configMapGenerator[0].name).toBe('nginx-template');
    const [overlay] = documents('deploy/kubernetes/overlays/example/kustomization.yaml');
    for (const { target } of overlay.patches)
      expect([target, of(target.kind, target.name)]).toEqual([target, expect.anything()]);
  });

  it.each(SERVICES)('gives %s the environment that it reads, secrets by reference', (service) => {
    const environment: Environment = {};
    for (const { name, value, valueFrom } of containerOf(service).env) {
      if (valueFrom) expect(valueFrom.secretKeyRef.key).toBe(name);
      else expect(Object.keys(SAMPLES)).not.toContain(name);
      environment[name] = value ?? SAMPLES[name];
    }
    expectTaken(service, environment);
  });

  it.each(SERVICES)('has all that %s needs, and probes its routes', (service) => {
    const workload = workloadOf(service);
    expect(workload.kind).toBe(service === 'play-gateway' ? 'StatefulSet' : 'Deployment');
    for (const kind of [
      'Service',
      'PodDisruptionBudget',
      'NetworkPolicy',
      ...(service === 'jobs' ? [] : ['HorizontalPodAutoscaler']),
    ])
      expect([kind, of(kind, service)]).toEqual([kind, expect.anything()]);
    const label = { 'app.kubernetes.io/name': service };
    expect(workload.spec.selector.matchLabels).toEqual(label);
    expect(workload.spec.template.metadata.labels).toEqual(label);
    for (const policy of ['PodDisruptionBudget', 'NetworkPolicy'])
      expect((of(policy, service).spec.selector ?? of(policy, service).spec.podSelector).matchLabels).toEqual(label);
    expect(of('Service', service).spec.selector).toEqual(label);
    const container = containerOf(service);
    expect(container.ports).toContainEqual({ name: 'http', containerPort: PORT });
    expect(container.startupProbe.httpGet).toEqual({ path: '/healthz', port: 'http' });
    expect(container.livenessProbe.httpGet).toEqual({ path: '/healthz', port: 'http' });
    expect(container.readinessProbe.httpGet).toEqual({ path: '/readyz', port: 'http' });
    const { terminationGracePeriodSeconds: grace } = workload.spec.template.spec;
    expect((grace - container.lifecycle.preStop.sleep.seconds) * 1_000).toBeGreaterThan(STOP_TIMEOUT_MS);
  });

  it('lets the dashboard be asked through the proxy, and ask each service how it is', () => {
    const environment = Object.fromEntries(containerOf('jobs').env.map(({ name, value }: Document) => [name, value]));
    expect(askedOf(environment).sort()).toEqual(ASKED.map((name) => `${name}=http://${name}:${PORT}`).sort());
    const podsOf = (rules: Document[], side: 'from' | 'to'): string[] =>
      rules
        .filter(({ ports }) => ports.some(({ port }: Document) => port === PORT || port === 8_080))
        .flatMap((rule) => rule[side])
        .flatMap(({ podSelector }: Document) => podSelector?.matchLabels['app.kubernetes.io/name'] ?? []);
    expect(podsOf(of('NetworkPolicy', 'jobs').spec.egress, 'to').sort()).toEqual([...ASKED].sort());
    for (const service of ASKED)
      expect([service, podsOf(of('NetworkPolicy', service).spec.ingress, 'from')]).toEqual([
        service,
        expect.arrayContaining(['jobs']),
      ]);
    expect(podsOf(of('NetworkPolicy', 'jobs').spec.ingress, 'from')).toEqual(['proxy']);
    expect(podsOf(of('NetworkPolicy', 'proxy').spec.egress, 'to')).toContain('jobs');
    const [{ valueFrom }] = containerOf('jobs').env.filter(({ name }: Document) => name === 'ADMIN_TOKEN');
    expect(valueFrom.secretKeyRef.optional).toBe(true);
  });

  it('lets rss-proxy out, and public-api reach Postgres and nothing else', () => {
    const policies = all.filter(({ kind }) => kind === 'NetworkPolicy');
    const isOut = ({ spec }: Document): boolean => JSON.stringify(spec.egress ?? []).includes('ipBlock');
    expect(policies.filter(isOut).map(({ metadata }) => metadata.name)).toEqual(['rss-proxy']);
    for (const { metadata, spec } of policies)
      expect([metadata.name, spec.policyTypes]).toEqual([metadata.name, ['Ingress', 'Egress']]);
    const ports = of('NetworkPolicy', 'public-api').spec.egress.flatMap((rule: Document) => rule.ports);
    expect(ports.map(({ port }: Document) => port).sort()).toEqual([53, 53, 5432]);
    expect(containerOf('public-api').env.map(({ name }: Document) => name)).not.toContain('USERS_DATABASE_URL');
  });
});

describe('nginx', () => {
  const template = read('deploy/nginx/nginx.conf.template');
  const secondsOf = (directive: string): number => Number(new RegExp(`${directive} (\\d+)s;`).exec(template)![1]);

  it('ends what the services end only later, and waits for as long as they do', () => {
    expect(secondsOf('keepalive 32; keepalive_timeout') * 1_000).toBeLessThan(KEEP_ALIVE_MS / 2);
    expect(secondsOf('proxy_read_timeout') * 1_000).toBeGreaterThan(Math.max(ANSWER_TIMEOUT_MS, STANDSTILL_MS));
    expect(/client_max_body_size (\d+)m;/.exec(template)![1]).toBe(String((2 * BODY_MAX_BYTES) / 1_048_576));
  });

  it('is given each of its variables by whoever runs it', () => {
    const wanted = new Set([...template.matchAll(/\$\{([A-Z_]+)\}/g)].map(([, name]) => name!));
    const { environment } = compose.services.proxy;
    const [container] = (loadAll(read(`${BASE}/proxy.yaml`)) as Document[])[0].spec.template.spec.containers;
    for (const given of [Object.keys(environment), container.env.map(({ name }: Document) => name)])
      expect(given.filter((name: string) => name !== 'NGINX_ENVSUBST_OUTPUT_DIR').sort()).toEqual([...wanted].sort());
  });
});
