import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { request } from './support/client';
import { OpenApi } from './support/conformance';
import { startSystem, System } from './support/system';

const README = readFileSync(resolve(__dirname, '../README.md'), 'utf8');
const section = (title: string): string => README.split(`\n## ${title}\n`)[1]!.split('\n## ')[0]!;

describe('the README, word for word', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem('standalone');
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it('its first session goes as it is written', async () => {
    const blocks = [...section('A first session').matchAll(/```sh\n([^`]*)```/g)].map(([, block]) => block!);
    const session = blocks.filter((block) => !block.includes('npm run'));
    expect(session.length).toBeGreaterThan(3);
    const script = session.join('echo\n').replaceAll('localhost:4000', new URL(system.listeners).host);
    const { stdout } = await promisify(execFile)('bash', ['-euo', 'pipefail', '-c', script], { timeout: 60_000 });
    expect(stdout).not.toContain('"code":');
    for (const told of ['"username":"ada"', '"status":"success"', '"position":90', '"full":true', '{"podcasts":[]}'])
      expect(stdout).toContain(told);
  }, 90_000);

  it('its table has every route of a listener and of the public, with the parameters that it takes', async () => {
    const document = (await request(`${system.listeners}/api/openapi.json`)).body as OpenApi;
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, { parameters = [] }]) => {
        const queries = parameters.filter((parameter) => parameter.in === 'query').map(({ name }) => name);
        return [method.toUpperCase(), path, ...queries.sort()].join(' ');
      }),
    );
    const ours = (route: string): boolean => /^\w+ \/api\/v1\/(?!rss\/)/.test(route);
    expect(routesOf(section('The API')).filter(ours).sort()).toEqual(documented.filter(ours).sort());
  });
});

/** As `METHOD path parameters`: of "`GET`/`PATCH /playlists/{id}`, `/public/timeline?limit=`" a method holds until the next one. */
function routesOf(text: string): string[] {
  const routes: string[] = [];
  for (const [, cell] of text.matchAll(/^\| (`[^|]*) \|/gm)) {
    let methods: string[] = [];
    let isTold = false;
    for (const [, code] of cell!.matchAll(/`([^`]+)`/g)) {
      const [, method, url] = /^([A-Z]+)?\s?(\S+)?$/.exec(code!)!;
      if (method) methods = isTold ? [method] : [...methods, method];
      isTold = url !== undefined;
      if (!url) continue;
      const { pathname, searchParams } = new URL(`http://any/api/v1${url}`);
      const path = decodeURIComponent(pathname);
      for (const each of methods) routes.push([each, path, ...[...searchParams.keys()].sort()].join(' '));
    }
  }
  return routes;
}
