import { applyDecorators } from '@nestjs/common';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  ApiExtension,
  ApiOperation,
  ApiResponse,
  DocumentBuilder,
  OpenAPIObject,
  StandardSchemaConverter,
  SwaggerModule,
} from '@nestjs/swagger';
import { z } from 'zod';
import { problemAnswer } from './problems';

/** Where the document and its pages are. */
export const OPENAPI_PATH = '/api/openapi.json';
export const DOCS_PATH = '/api/docs';

/** Codes of problems by the status that they come with. */
export type ProblemCodes = Readonly<Record<number, readonly string[]>>;

/** What a service says of itself. */
export interface ServiceDocs {
  title: string;
  /** What any of its routes may answer, beside what any service may; 401 where a token is asked for. */
  problems: ProblemCodes;
  /** Its routes ask for a listener's token, but those that are `open`. */
  bearer?: boolean;
}

export interface RouteDocs {
  /** One line, without a full stop. */
  summary: string;
  /** What a success answers in JSON, or the media type of what is not JSON; undefined: it has no body. */
  answer?: z.ZodType | `${string}/${string}`;
  /** Of the success; 200 unless told. */
  status?: number;
  /** What this route alone may answer. */
  problems?: ProblemCodes;
  /** Asks for no token. */
  open?: boolean;
}

const PROBLEMS = 'x-problems';

/** All that a route needs to be documented: parameters and body are taken from the schemas that validate them. */
export const Documented = ({ summary, answer, status = 200, problems = {}, open = false }: RouteDocs) =>
  applyDecorators(
    ApiOperation({ summary, ...(open && { security: [] }) }),
    ApiResponse({
      status,
      description: 'It is done, or this is it.',
      ...(typeof answer === 'string' && { content: { [answer]: { schema: { type: 'string' } } } }),
      ...(typeof answer === 'object' && { standardSchema: answer }),
    }),
    ApiExtension(PROBLEMS, problems),
  );

/** What any service may answer, whatever is asked of it. */
const ALWAYS: ProblemCodes = {
  400: ['malformed'],
  408: ['too_slow'],
  414: ['url_too_long'],
  422: ['invalid'],
  429: ['too_many_requests'],
  431: ['headers_too_large'],
  500: ['internal'],
  503: ['unavailable'],
};
const WITH_BODY: ProblemCodes = { 413: ['too_large'], 415: ['unsupported_media_type'] };

/** What a schema does not tell by itself (text that is a number, entries that are looked at one by one) it has in `documentedAs`. */
const toJsonSchema = (schema: z.ZodType, io: 'input' | 'output'): z.core.JSONSchema.BaseSchema =>
  z.toJSONSchema(schema, {
    io,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      // A format says the same as the pattern that it is checked by, and can be read.
      if (jsonSchema.format) delete jsonSchema.pattern;
      const { documentedAs } = jsonSchema as { documentedAs?: z.ZodType };
      if (!documentedAs) return;
      for (const key of Object.keys(jsonSchema)) delete jsonSchema[key];
      const { $schema: _version, ...other } = toJsonSchema(documentedAs, io);
      Object.assign(jsonSchema, other);
    },
  });

const convert: StandardSchemaConverter = (schema, { schemaType }) => {
  const { $schema: _version, $defs = {}, id, ...own } = toJsonSchema(schema as z.ZodType, schemaType);
  const components = Object.fromEntries(
    Object.entries({ ...$defs, ...(id && { [id]: own }) }).map(([name, { id: _id, ...definition }]) => [
      name,
      definition,
    ]),
  );
  return { schema: id ? { $ref: `#/$defs/${id}` } : own, components };
};

interface Operation {
  parameters?: unknown[];
  requestBody?: unknown;
  security?: unknown[];
  responses: Record<string, object>;
  [PROBLEMS]?: ProblemCodes;
}

function withProblems(operation: Operation, method: string, docs: ServiceDocs, publicReads: boolean): void {
  if (publicReads) operation.responses[304] = { description: 'What the client holds, by its ETag, stands.' };
  const own = operation[PROBLEMS] ?? {};
  delete operation[PROBLEMS];
  const { 401: unauthenticated = [], ...others } = docs.problems;
  const asksForToken = docs.bearer && operation.security?.length !== 0;
  const sources: ProblemCodes[] = [ALWAYS, others, own];
  if (method !== 'get') sources.push(WITH_BODY);
  if (asksForToken) sources.push({ 401: unauthenticated });
  for (const status of new Set(sources.flatMap((codes) => Object.keys(codes)))) {
    const codes = [...new Set(sources.flatMap((source) => source[Number(status)] ?? []))];
    const schema = {
      allOf: [
        { $ref: '#/components/schemas/Problem' },
        { properties: { status: { enum: [Number(status)] }, code: { enum: codes } } },
      ],
    };
    operation.responses[status] = {
      description: codes.join(', '),
      content: { 'application/problem+json': { schema } },
    };
  }
}

/** The OpenAPI 3.1 document of a service, from its routes and the schemas that validate. */
export function describe(app: NestFastifyApplication, docs: ServiceDocs, publicReads: boolean): OpenAPIObject {
  const builder = new DocumentBuilder().setOpenAPIVersion('3.1.0').setTitle(docs.title).setVersion('1');
  if (docs.bearer) builder.addBearerAuth().addSecurityRequirements('bearer');
  const document = SwaggerModule.createDocument(app, builder.build(), { standardSchemaConverter: convert });
  const problem = convert(problemAnswer, { schemaType: 'output' })!.components;
  document.components = { ...document.components, schemas: { ...document.components?.schemas, ...problem } };
  for (const path of Object.values(document.paths))
    for (const [method, operation] of Object.entries(path))
      withProblems(operation as Operation, method, docs, publicReads);
  return document;
}

/** One document of several services' documents. */
export function merge(title: string, documents: readonly OpenAPIObject[]): OpenAPIObject {
  const [first, ...rest] = documents;
  const merged = structuredClone(first!);
  merged.info.title = title;
  // What a route asks for is its own to say from here on.
  for (const document of rest) {
    for (const [path, operations] of Object.entries(document.paths))
      merged.paths[path] = withSecurity(operations, document);
    merged.components = {
      ...merged.components,
      schemas: { ...document.components?.schemas, ...merged.components?.schemas },
    };
  }
  return merged;
}

const withSecurity = (operations: object, { security = [] }: OpenAPIObject): object =>
  Object.fromEntries(Object.entries(operations).map(([method, operation]) => [method, { security, ...operation }]));

/** Serves the document, made when it is first asked for, and pages that show the one of this host. */
export function serveDocs(app: NestFastifyApplication, docs: ServiceDocs, publicReads: boolean): () => OpenAPIObject {
  let document: OpenAPIObject | undefined;
  const made = (): OpenAPIObject => (document ??= describe(app, docs, publicReads));
  app.getHttpAdapter().get(OPENAPI_PATH, (_request, reply) => void reply.send(made()));
  SwaggerModule.setup(DOCS_PATH, app, () => undefined as unknown as OpenAPIObject, {
    raw: false,
    swaggerUrl: OPENAPI_PATH,
    customSiteTitle: docs.title,
  });
  return made;
}
