import { gzipSync } from 'node:zlib';
import { base64, base64Url } from './support/client';
import { OpenApi, Operation } from './support/conformance';
import { oneOf } from './support/limits';

/** Bytes to send, and what must become of them. */
export interface FuzzCase {
  what: string;
  method: string;
  path: string;
  bytes: Buffer;
  /** `refused`: with a problem from 400 to 499. `harmless`: any answer below 500, and nothing written. */
  expected: 'refused' | 'harmless';
}

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
type Schema = {
  type?: string | string[];
  anyOf?: Schema[];
  properties?: Record<string, Schema>;
  required?: string[];
  items?: Schema;
  enum?: Json[];
  minimum?: number;
  maximum?: number;
  format?: string;
};
type Random = () => number;

export const FUZZ_FEED = 'https://feeds.example/fuzz.xml';
export const FUZZ_ITEM = 'fuzz-1,https://media.example/fuzz.mp3';
const UUID = '3fa85f64-5717-4562-b3fc-2c963f66afa6';
const NESTED_TOO_DEEP = 33;

/** What our schemas do not say of themselves, by the names that are used on the wire. */
const KNOWN: Record<string, string> = {
  rss_source_feed: base64(FUZZ_FEED),
  rss_source_item: base64(FUZZ_ITEM),
  feed: base64Url(FUZZ_FEED),
  item: base64Url(FUZZ_ITEM),
  username: 'fuzz-listener',
  password: 'a password of length',
  privacy: 'public',
};
/** Text in these is looked at by its letters: NUL and half a character are no part of it. */
const LETTERS = /^(rss_source_\w+|name|description|item_title|feed_title|device_\w+)$/;

const typesOf = ({ type, anyOf }: Schema): string[] =>
  anyOf ? anyOf.flatMap(typesOf) : type === undefined ? [] : [type].flat();

/** A value that fits, as far as a schema tells. */
function fitting(name: string, schema: Schema): Json {
  if (schema.enum) return schema.enum[0]!;
  if (KNOWN[name] !== undefined) return KNOWN[name];
  if (schema.format === 'uuid') return UUID;
  if (/(_at|_time)$/.test(name)) return '2026-01-01T00:00:00.000Z';
  const [type] = typesOf(schema);
  if (type === 'object')
    return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([key, each]) => [key, fitting(key, each)]));
  if (type === 'array') return [];
  if (type === 'boolean') return true;
  if (type === 'number' || type === 'integer') return Math.max(1, schema.minimum ?? 1);
  return 'some text';
}

export const OF_TYPES: Record<string, Json[]> = {
  null: [null],
  boolean: [true, false],
  number: [0, -1, 1.5, 1e308, -1e308, 5e-324, 2 ** 53, -0],
  string: ['', '0', 'null', '\u0000', '\ud800', '😀', 'x'.repeat(5_000)],
  array: [[], [[]], [null], Array(200).fill(0)],
  object: [{}, { length: 1 }, { $ne: null }, { toString: 1, constructor: {} }],
};

/** Something of a type that the schema does not allow; undefined when it allows all. */
function misfit(random: Random, schema: Schema): Json | undefined {
  const allowed = typesOf(schema).map((type) => (type === 'integer' ? 'number' : type));
  if (allowed.length === 0) return undefined;
  const others = Object.keys(OF_TYPES).filter((type) => !allowed.includes(type));
  return others.length === 0 ? undefined : oneOf(random, OF_TYPES[oneOf(random, others)]!);
}

/** A body that must be refused, with its content type. */
function badBody(random: Random, schema: Schema): { what: string; body: string | Buffer; type?: string | undefined } {
  const valid = fitting('', schema) as Record<string, Json>;
  const properties = Object.entries(schema.properties ?? {});
  const required = schema.required ?? [];
  const text = JSON.stringify(valid);
  const without = (name: string): Json => Object.fromEntries(Object.entries(valid).filter(([key]) => key !== name));
  const [name, own] = oneOf(random, properties);
  /** The value as it is written, so that numbers beyond JSON's own can be, too. */
  const withValue = (written: string): string =>
    JSON.stringify({ ...valid, [name]: '@' }).replace(
      `${JSON.stringify(name)}:"@"`,
      () => `${JSON.stringify(name)}:${written}`,
    );
  const wrong = misfit(random, own);
  const kinds: (() => { what: string; body: string | Buffer; type?: string } | undefined)[] = [
    () => (wrong === undefined ? undefined : { what: `wrong type of ${name}`, body: withValue(JSON.stringify(wrong)) }),
    () =>
      wrong === undefined
        ? undefined
        : {
            what: `${name} twice`,
            body: withValue(`${JSON.stringify(valid[name])},${JSON.stringify(name)}:${JSON.stringify(wrong)}`),
          },
    () =>
      wrong === undefined
        ? undefined
        : {
            what: 'a prototype',
            body: withValue(JSON.stringify(wrong)).replace('{', '{"__proto__":{"admin":true},"constructor":{},'),
          },
    () => {
      if (required.length === 0) return undefined;
      const missing = oneOf(random, required);
      return { what: `without ${missing}`, body: JSON.stringify(without(missing)) };
    },
    () => {
      if (own.maximum === undefined) return undefined;
      const number = oneOf(random, [
        '-1',
        '1e400',
        '-1e400',
        '1e308',
        '-5e-324',
        String(own.maximum + 0.1),
        '9'.repeat(400),
      ]);
      return { what: `${name} is ${number.slice(0, 20)}`, body: withValue(number) };
    },
    () => {
      if (!LETTERS.test(name) || !typesOf(own).includes('string')) return undefined;
      const odd = oneOf(random, ['"\\u0000"', '"a\\u0000b"', '"\\ud800"', '"\\udc00x"', '"\\u0007"', '"\\u009f"']);
      return { what: `${name} is ${odd}`, body: withValue(odd) };
    },
    () => {
      if (!/^rss_source_(feed|item)$/.test(name)) return undefined;
      const bad = oneOf(random, [
        '*',
        'a',
        '====',
        'YQ==YQ==',
        '%20',
        Buffer.from([0xff, 0xfe, 0xfd]).toString('base64'),
        'QUJD\n',
        'x'.repeat(100_000),
      ]);
      return { what: `bad base64 in ${name}`, body: withValue(JSON.stringify(bad)) };
    },
    () => ({
      what: 'no JSON',
      body: oneOf(random, [
        '{',
        '',
        ' ',
        'nul',
        'undefined',
        "{'a':1}",
        '{"a":1,}',
        text.slice(0, -1),
        `${text}}`,
        'NaN',
        '\ufeff',
        '{"a":01}',
        '"\u0001"',
      ]),
    }),
    () => ({ what: 'no object', body: oneOf(random, ['[]', 'null', '1', '"text"', 'true', `[${text}]`, '1e400']) }),
    () => {
      const depth = oneOf(random, [NESTED_TOO_DEEP, 1_000, 100_000]);
      return { what: `${depth} levels`, body: `{"deep":${'['.repeat(depth)}${']'.repeat(depth)}}` };
    },
    () => ({
      what: `${NESTED_TOO_DEEP} levels in ${name}`,
      body: withValue(`${'{"a":'.repeat(NESTED_TOO_DEEP)}1${'}'.repeat(NESTED_TOO_DEEP)}`),
    }),
    () => {
      const bytes = oneOf(random, [
        [0xff],
        [0xc3, 0x28],
        [0xed, 0xa0, 0x80],
        [0xf8, 0x88, 0x80, 0x80, 0x80],
        [0xc0, 0xaf],
      ]);
      return {
        what: 'bytes that are no UTF-8',
        body: Buffer.concat([Buffer.from('{"a":"'), Buffer.from(bytes), Buffer.from(`",${text.slice(1)}`)]),
      };
    },
    () => ({
      what: 'another type',
      body: text,
      type: oneOf(random, [
        'text/plain',
        'application/xml',
        'application/x-www-form-urlencoded',
        'multipart/form-data; boundary=x',
        'application/jsonx',
        'application',
        ';',
        '*/*',
        'x'.repeat(2_000),
      ]),
    }),
    () => ({ what: 'no type', body: text, type: '' }),
    () => ({ what: 'compressed', body: gzipSync(text) }),
    () => ({ what: 'UTF-16', body: Buffer.from(text, 'utf16le') }),
  ];
  for (;;) {
    const made = oneOf(random, kinds)();
    if (made) return made;
  }
}

const OPML = '<opml><body><outline text="a" xmlUrl="not an address"/></body></opml>';

/** A body that a route of XML must refuse, or of which it takes nothing. */
export function badXml(random: Random): {
  what: string;
  body: string | Buffer;
  type: string;
  expected: FuzzCase['expected'];
} {
  const cut = Math.floor(random() * (OPML.length - 1));
  const depth = oneOf(random, [NESTED_TOO_DEEP, 1_000, 100_000]);
  const refused: [what: string, body: string | Buffer, type?: string][] = [
    ['XML cut off', OPML.slice(0, cut)],
    [
      'another document',
      oneOf(random, ['<rss/>', '<html><body/></html>', '<opml/>', `${OPML}${OPML}`, '{}', '\u0000']),
    ],
    ['an entity', `<!DOCTYPE opml [<!ENTITY a SYSTEM "file:///etc/passwd">]>${OPML.replace('not', '&a;')}`],
    ['a document type', `<!DOCTYPE ${oneOf(random, ['opml', '[', '"', "opml SYSTEM 'http://127.0.0.1/'"])}>${OPML}`],
    [`${depth} levels`, `<opml><body>${'<outline>'.repeat(depth)}`],
    ['many attributes', OPML.replace('text', `${Array.from({ length: 200 }, (_, n) => `a${n}=""`).join(' ')} text`)],
    ['bytes that are no text', Buffer.concat([Buffer.from([0xff, 0xfe, 0, 0xd8]), Buffer.from(OPML, 'utf16le')])],
    [
      'another type',
      OPML,
      oneOf(random, ['text/plain', 'application/json', 'application/octet-stream', ';', 'text/xmlx']),
    ],
    ['no type', OPML, ''],
    ['compressed', gzipSync(OPML)],
    ['a name over which the parser stumbles', OPML.replace('text', 'hasOwnProperty')],
  ];
  const harmless = [
    OPML,
    OPML.replace('outline', '__proto__'),
    OPML.replace('text="a"', '__proto__="a" constructor="b"'),
    `<?xml version="1.0" encoding="${oneOf(random, ['nothing', 'utf-7', 'iso-8859-1'])}"?>${OPML}`,
    OPML.replace(
      'not an address',
      oneOf(random, ['', '&#0;', '&#xd800;', 'javascript:1', '//', 'x'.repeat(60_000), '&nothing;']),
    ),
  ];
  if (random() < 0.2)
    return { what: 'nothing to take', body: oneOf(random, harmless), type: 'text/x-opml', expected: 'harmless' };
  const [what, body, type = 'text/x-opml'] = oneOf(random, refused);
  return { what, body, type, expected: 'refused' };
}

export const BAD_IN_PATH = [
  '%00',
  '%ff',
  '%',
  '%zz',
  '%ED%A0%80',
  '!!!',
  '..',
  '%2e%2e%2f%2e%2e',
  '*',
  'a'.repeat(13_000),
  'é',
  '%0d%0aset-cookie:a=b',
  '=',
  'null',
  '-1',
  '0',
];

/** Query strings that a route with these parameters refuses. */
function badQuery(random: Random, name: string): string {
  const bad: Record<string, string[]> = {
    limit: ['abc', '0', '101', '-1', '1e1', '%D9%A1', '1.5', '0x10', '%00', '9'.repeat(400), ' 1', '1&limit=2'],
    offset: ['abc', '-1', '10001', '1e9', '%ff', '1&offset=2'],
    feed: [
      '!!!',
      'a',
      '%00',
      base64Url('ftp://feeds.example/'),
      base64Url('https://feeds.example/\u0000'),
      'x'.repeat(9_000),
      'YQ&feed=YQ',
    ],
    since: ['x'.repeat(2_000), 'a&since=b'],
    event_type: ['nothing', 'PLAY', '%00', 'play&event_type=save', '__proto__'],
    cursor: ['nothing', '%00', 'x'.repeat(300), 'a&cursor=b', base64Url('{"recordedAt":1}'), base64Url('[]')],
  };
  return `${name}=${oneOf(random, bad[name] ?? ['%00&', '%ff'])}`;
}

export const METHODS = [
  'HEAD',
  'OPTIONS',
  'TRACE',
  'PROPFIND',
  'PURGE',
  'LOCK',
  'M-SEARCH',
  'QUERY',
  'BREW',
  'get',
  'CONNECT',
  'PRI',
];

/** Whole header lines; those that break the request itself first. */
export const BROKEN_HEADERS = [
  'Content-Length: -1',
  'Content-Length: abc',
  'Content-Length: 5\r\nContent-Length: 6',
  'Content-Length: 3\r\nTransfer-Encoding: chunked',
  'Transfer-Encoding: nothing',
  'X: a\u0000b',
  ': nameless',
  'no colon',
  ' folded: x',
  `X-Long: ${'x'.repeat(20_000)}`,
  'Host: a\r\nHost: b',
];
export const ODD_HEADERS = [
  'Expect: 100-continue',
  'Expect: something',
  'Upgrade: websocket\r\nConnection: Upgrade',
  'Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: x',
  'Accept: text/html',
  'Accept-Encoding: \u00ff',
  'Range: bytes=5-',
  'If-None-Match: *',
  `If-None-Match: ${'"a",'.repeat(2_000)}`,
  'X-HTTP-Method-Override: DELETE',
  'X-Forwarded-For: 1.2.3.4, ,;\u0001'.replace('\u0001', '%'),
  'Forwarded: for="[::1"',
  'Origin: null',
  'Origin: https://evil.example\r\nAccess-Control-Request-Method: PUT',
  'X-Correlation-Id: ../../etc',
  `X-Correlation-Id: ${'x'.repeat(500)}`,
  'Cookie: a=b; a=c',
  'TE: trailers',
  'Connection: close',
  'Idempotency-Key: \u00e9',
  Array.from({ length: 300 }, (_, n) => `X-${n}: ${n}`).join('\r\n'),
];
const BAD_TOKENS = [
  'Bearer',
  'Bearer ',
  'Bearer a.b.c',
  'Basic YTpi',
  `Bearer ${'x'.repeat(9_000)}`,
  'bearer \u00ff',
  `Bearer ${base64Url('{"alg":"none"}')}.${base64Url('{"sub":"x"}')}.`,
  `Bearer ${base64Url('{"alg":"RS256","kid":"../x"}')}.e30.e30`,
  'Bearer a b',
];

/** A request as it goes over the wire, right or wrong. */
export interface RawRequest {
  method: string;
  path: string;
  host: string;
  /** '': none. */
  authorization: string;
  version?: string;
  body?: string | Buffer;
  type?: string | undefined;
  headers?: string[];
  tail?: string;
}

export function bytesOf(parts: RawRequest): Buffer {
  const { method, path, host, authorization, version = 'HTTP/1.1', body, headers = [], tail = '' } = parts;
  const { type = 'application/json' } = parts;
  const bytes = body === undefined ? Buffer.alloc(0) : Buffer.from(body as string);
  const lines = [
    `${method} ${path} ${version}`,
    `Host: ${host}`,
    ...(authorization === '' ? [] : [`Authorization: ${authorization}`]),
    ...(body === undefined
      ? []
      : [...(type === '' ? [] : [`Content-Type: ${type}`]), `Content-Length: ${bytes.length}`]),
    ...headers,
  ];
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), bytes, Buffer.from(tail)]);
}

/** Makes requests to every route of a document that must all change nothing. */
export class FuzzRequests {
  private readonly operations: { path: string; method: string; operation: Operation; open: boolean }[];
  private turn = 0;

  constructor(
    document: OpenApi,
    private readonly random: Random,
    private readonly parts: { host: string; token: string; ids: Record<string, string> },
  ) {
    this.operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({
        path,
        method: method.toUpperCase(),
        operation,
        open: (operation.security ?? document.security ?? []).length === 0,
      })),
    );
  }

  get routes(): number {
    return this.operations.length;
  }

  /** Each route in its turn, with something else that is wrong. */
  next(): FuzzCase {
    const { random } = this;
    const target = this.operations[this.turn++ % this.operations.length]!;
    const { method, operation, open } = target;
    const parameters = operation.parameters ?? [];
    const inPath = parameters.filter((each) => each.in === 'path');
    const inQuery = parameters.filter((each) => each.in === 'query');
    const path = this.pathOf(target.path);
    const body = operation.requestBody?.content['application/json']?.schema as Schema | undefined;
    // A body that may hold nothing is none.
    const schema = Object.keys(body?.properties ?? {}).length > 0 ? body : undefined;
    const isRead = method === 'GET';
    const isEndless = operation.responses['200']?.content?.['text/event-stream'] !== undefined;
    const make = (
      what: string,
      parts: Parameters<FuzzRequests['write']>[0],
      expected: FuzzCase['expected'] = 'refused',
    ) => ({
      what,
      method: parts.method,
      path: parts.path,
      bytes: this.write(parts),
      expected,
    });
    const kinds: (() => FuzzCase)[] = [];
    if (schema) {
      // Bodies have the most ways to be wrong.
      const bad = (): FuzzCase => {
        const { what, body, type } = badBody(random, schema);
        return make(what, { method, path, body, type });
      };
      kinds.push(bad, bad, bad, bad, bad, bad);
      kinds.push(() =>
        make('a chunk that is none', {
          method,
          path,
          headers: ['Transfer-Encoding: chunked'],
          tail: 'zz\r\n{}\r\n0\r\n\r\n',
        }),
      );
      if (random() < 0.01)
        kinds.push(() => make('too large', { method, path, body: `{"a":"${'x'.repeat(1_100_000)}"}` }));
    }
    if (operation.requestBody?.content['application/xml']) {
      const bad = (): FuzzCase => {
        const { what, body, type, expected } = badXml(random);
        return make(what, { method, path, body, type }, expected);
      };
      kinds.push(bad, bad, bad, bad, bad, bad);
      const tooLarge = ['Content-Type: text/xml', 'Content-Length: 4200000'];
      kinds.push(() => make('too large', { method, path, headers: tooLarge }));
    }
    for (const { name } of inPath)
      kinds.push(() => {
        const bad = oneOf(random, BAD_IN_PATH);
        const part = name === 'item' && ['null', '0', '-1', '='].includes(bad) ? '!!!' : bad;
        return make(`${name} is ${part.slice(0, 20)}`, { method, path: this.pathOf(target.path, { [name]: part }) });
      });
    for (const { name } of inQuery)
      kinds.push(() => {
        const query = badQuery(random, name);
        return make(`?${query.slice(0, 40)}`, { method, path: `${path}?${query}` });
      });
    if (!open)
      kinds.push(
        () => make('a bad token', { method, path, token: oneOf(random, BAD_TOKENS) }),
        () => make('no token', { method, path, token: '' }),
      );
    kinds.push(
      () => make('a broken header', { method, path, headers: [oneOf(random, BROKEN_HEADERS)] }),
      () =>
        make('a path beyond', {
          method,
          path: `${path}${oneOf(random, ['/x', '//', '/%2e%2e/x', '/.', ';a=b/c', '/%'])}`,
        }),
      () => make('an odd method', { method: oneOf(random, METHODS), path }, 'harmless'),
      () =>
        make('no such version', {
          method,
          path,
          version: oneOf(random, ['HTTP/9.9', 'HTTP/1.1x', 'HTTPS/1.1', 'HTTP', '']),
        }),
    );
    // What is answered for as long as the client likes is not asked for.
    if (isRead && !isEndless)
      kinds.push(() => make('an odd header', { method, path, headers: [oneOf(random, ODD_HEADERS)] }, 'harmless'));
    else if (schema)
      kinds.push(() => {
        const { what, body, type } = badBody(random, schema);
        return make(`${what} with an odd header`, { method, path, body, type, headers: [oneOf(random, ODD_HEADERS)] });
      });
    return oneOf(random, kinds)();
  }

  private pathOf(path: string, values: Record<string, string> = {}): string {
    return path.replace(/\{(\w+)\}/g, (_, name: string) => values[name] ?? this.parts.ids[name] ?? KNOWN[name] ?? UUID);
  }

  private write(parts: Omit<RawRequest, 'host' | 'authorization'> & { token?: string }): Buffer {
    return bytesOf({ ...parts, host: this.parts.host, authorization: parts.token ?? `Bearer ${this.parts.token}` });
  }
}
