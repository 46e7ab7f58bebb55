// The version that knows the schemas of OpenAPI 3.1.
import { Ajv2020 } from 'ajv/dist/2020';
import addFormats from 'ajv-formats';

type Schema = Record<string, unknown>;
export interface Operation {
  summary: string;
  security?: object[];
  parameters?: { in: 'path' | 'query'; name: string; required?: boolean; schema: Schema }[];
  requestBody?: { content: Record<string, { schema: Schema }> };
  responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}
export interface OpenApi {
  openapi: string;
  security?: object[];
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, Schema> };
}

const pointer = (...parts: string[]): string =>
  parts.map((part) => `/${part.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');

/** A service's own document, as what it answers is held against it. */
export class Conformance {
  private readonly ajv = new Ajv2020({ strict: false, allErrors: true });
  private readonly routes: { path: string; pattern: RegExp; fixed: number }[];

  constructor(readonly document: OpenApi) {
    addFormats(this.ajv);
    this.ajv.addSchema(document, 'openapi');
    this.routes = Object.keys(document.paths)
      .map((path) => ({
        path,
        pattern: new RegExp(`^${path.replaceAll('.', '\\.').replace(/\{\w+\}/g, '[^/]+')}$`),
        fixed: path.split('/').filter((part) => !part.startsWith('{')).length,
      }))
      // `/episodes/saved` before `/episodes/{item}`
      .sort((a, b) => b.fixed - a.fixed);
  }

  /** What is wrong with an answer; empty when nothing is. */
  problems(method: string, path: string, status: number, contentType: string, body: unknown): string[] {
    const name = `${method} ${path} ${status}`;
    const verb = method.toLowerCase();
    const route = this.routes.find(
      (each) => each.pattern.test(path) && (this.document.paths[each.path]![verb] ?? verb === 'head'),
    );
    const operation = route && this.document.paths[route.path]![verb === 'head' ? 'get' : verb];
    if (!operation) {
      const isRefused = [400, 404, 408, 413, 414, 415, 429, 431].includes(status) || verb === 'options';
      return isRefused ? [] : [`${name}: the document does not know this route`];
    }
    const answer = operation.responses[status];
    if (!answer) return [`${name}: the document does not list this status`];
    const [type, ...others] = Object.keys(answer.content ?? {});
    if (!type || others.length > 0) return body === '' ? [] : [`${name}: the document knows no body`];
    if (!contentType.startsWith(type)) return [`${name}: is ${contentType}, not ${type}`];
    if (verb === 'head') return [];
    const at = pointer('paths', route.path, verb, 'responses', String(status), 'content', type, 'schema');
    const validate = this.ajv.getSchema(`openapi#${at.replaceAll('{', '%7B').replaceAll('}', '%7D')}`);
    if (!validate) return [`${name}: the document has no schema`];
    if (validate(body)) return [];
    return (validate.errors ?? []).map(({ instancePath, message, params }) =>
      [name, instancePath, message, JSON.stringify(params)].join(' '),
    );
  }
}

const known = new Map<string, Promise<Conformance | undefined>>();

/** The document of the service at this origin; undefined when it has none. */
export function conformanceOf(origin: string): Promise<Conformance | undefined> {
  const found = known.get(origin) ?? fetchDocument(origin);
  known.set(origin, found);
  return found;
}

async function fetchDocument(origin: string): Promise<Conformance | undefined> {
  try {
    const response = await fetch(`${origin}/api/openapi.json`, { signal: AbortSignal.timeout(60_000) });
    if (response.status === 404) return undefined;
    if (response.ok) return new Conformance((await response.json()) as OpenApi);
  } catch {
    // It was stopped, or is not up again: the next answer asks anew.
  }
  known.delete(origin);
  return undefined;
}

/** Fails for an answer that is not as the document of its service says. */
export async function expectConformance(
  url: string,
  method: string,
  { status, headers, body }: { status: number; headers: Headers; body: unknown },
): Promise<void> {
  const { origin, pathname } = new URL(url);
  if (!/^\/(?:api\/v1|\.well-known)\//.test(pathname)) return;
  const conformance = await conformanceOf(origin);
  const problems = conformance?.problems(method, pathname, status, headers.get('content-type') ?? '', body) ?? [];
  if (problems.length > 0)
    throw new Error(`not as documented:\n${problems.join('\n')}\n${JSON.stringify(body)?.slice(0, 2_000)}`);
}
