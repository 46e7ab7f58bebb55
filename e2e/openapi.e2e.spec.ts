import { base64Url, newListener, request } from './support/client';
import { Conformance, conformanceOf, OpenApi, Operation } from './support/conformance';
import { Kind, startSystem, System } from './support/system';

const documentOf = async (url: string): Promise<OpenApi> => {
  const { status, headers, body } = await request(`${url}/api/openapi.json`);
  expect([status, headers.get('content-type')]).toEqual([200, expect.stringMatching(/^application\/json/)]);
  return body;
};
const operationsOf = (document: OpenApi): [name: string, path: string, method: string, operation: Operation][] =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]): [string, string, string, Operation] => [
      `${method} ${path}`,
      path,
      method,
      operation,
    ]),
  );

/** Values that a path may have; what they name is not there. */
const example: Record<string, string> = {
  feed: base64Url('https://feeds.example/none.xml'),
  item: base64Url('none,https://media.example/none.mp3'),
};
const pathOf = (path: string): string =>
  path.replace(/\{(\w+)\}/g, (_, name: string) => example[name] ?? '00000000-0000-4000-8000-000000000000');

describe.each<Kind>(['standalone', 'services'])('the documentation of %s', (kind) => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem(kind, {}, ['projections', 'command-api', 'public-api', 'rss-proxy']);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  const origins = () => [...new Set([system.listeners, system.public, system.feeds])];

  it('is OpenAPI 3.1, whole in itself', async () => {
    const paths: string[] = [];
    for (const origin of origins()) {
      const document = await documentOf(origin);
      expect(document.openapi).toBe('3.1.0');
      expect((await request(`${origin}/api/openapi.json?again`)).body).toEqual(document);
      const refs = JSON.stringify(document).match(/"\$ref":"[^"]+"/g)!;
      for (const ref of refs) {
        const name = /"#\/components\/schemas\/(\w+)"$/.exec(ref)?.[1];
        expect([ref, Object.keys(document.components.schemas)]).toEqual([ref, expect.arrayContaining([name])]);
      }
      paths.push(...Object.keys(document.paths));
    }
    expect(new Set(paths).size).toBe(paths.length);
    expect(paths).toEqual(
      expect.arrayContaining([
        '/api/v1/sync',
        '/api/v1/public/timeline',
        '/api/v1/rss/proxy/{feed}/{item}',
        '/api/v1/rss/user/{token}/playlist/{id}',
        '/.well-known/jwks.json',
      ]),
    );
  });

  it('has no dashboard beside it where no admin token is configured', async () => {
    for (const origin of origins())
      for (const path of ['/dashboard', '/dashboard/login', '/dashboard/snapshot', '/dashboard/page.js'])
        expect([path, (await fetch(`${origin}${path}`)).status]).toEqual([path, 404]);
  });

  it('tells of each route what it does, what it takes, and each answer', async () => {
    for (const origin of origins())
      for (const [name, path, , { summary, responses, parameters = [] }] of operationsOf(await documentOf(origin))) {
        expect([name, summary]).toEqual([name, expect.stringMatching(/\w/)]);
        const successes = Object.entries(responses).filter(([status]) => status.startsWith('2'));
        expect([name, successes]).toEqual([
          name,
          [[expect.any(String), { ...successes[0]![1], content: expect.anything() }]],
        ]);
        const inPath = parameters
          .filter((parameter) => parameter.in === 'path')
          .map((parameter) => `{${parameter.name}}`);
        expect([name, inPath]).toEqual([name, path.match(/\{\w+\}/g) ?? []]);
        expect(Object.keys(responses)).toEqual(expect.arrayContaining(['400', '422', '429', '500', '503']));
      }
  });

  it('says truly where a token is asked for', async () => {
    for (const origin of origins()) {
      const document = await documentOf(origin);
      for (const [name, path, method, { security }] of operationsOf(document)) {
        const { status, body } = await request(`${origin}${pathOf(path)}`, { method: method.toUpperCase() });
        const asks = (security ?? document.security ?? []).length > 0;
        expect([name, status === 401 && body.code === 'no_token']).toEqual([name, asks]);
      }
    }
  });

  it('is shown in pages that bring all that they need', async () => {
    for (const origin of origins()) {
      const page = await request(`${origin}/api/docs`);
      expect([page.status, page.headers.get('content-type')]).toEqual([200, 'text/html']);
      expect(page.headers.get('content-security-policy')).toMatch(/script-src 'self';/);
      const needed = [...(page.body as string).matchAll(/(?:src|href)="\.\/([^"]+)"/g)].map(([, path]) => path!);
      expect(needed.length).toBeGreaterThan(3);
      for (const path of needed) expect((await request(`${origin}/api/${path}`)).status).toBe(200);
      expect((await request(`${origin}/api/docs/swagger-ui-init.js`)).body).toContain('"/api/openapi.json"');
    }
  });

  it('is what answers are held against: a change of any of them is seen', async () => {
    const listener = await newListener(system.listeners);
    const { body } = await listener.subscribe('https://feeds.example/show.xml');
    const conformance = (await conformanceOf(system.listeners)) as Conformance;
    const found = (status: number, answer: unknown, path = '/api/v1/subscriptions', type = 'application/json') =>
      conformance.problems('POST', path, status, type, answer);
    expect(found(200, body)).toEqual([]);
    expect(found(201, body)).toEqual([expect.stringContaining('does not list this status')]);
    expect(found(200, body, '/api/v1/subscription')).toEqual([expect.stringContaining('does not know this route')]);
    expect(found(200, body, undefined, 'text/html')).toEqual([expect.stringContaining('not application/json')]);
    for (const data of [
      { ...body.data, more: 1 },
      { ...body.data, subscribed_at: 'today' },
      { ...body.data, rss_source_feed: undefined },
    ])
      expect(found(200, JSON.parse(JSON.stringify({ ...body, data })))).not.toEqual([]);
    const problem = await request(`${system.listeners}/api/v1/subscriptions`, { method: 'POST' });
    const isProblem = 'application/problem+json';
    expect(found(401, problem.body, undefined, isProblem)).toEqual([]);
    expect(found(401, { ...problem.body, code: 'other' }, undefined, isProblem)).not.toEqual([]);
  });
});
