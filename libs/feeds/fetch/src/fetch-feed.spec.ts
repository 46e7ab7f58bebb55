import { once, setMaxListeners } from 'node:events';
import { IncomingMessage, ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { AddressInfo, Socket } from 'node:net';
import { brotliCompressSync, constants, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { waitFor } from '@balados/testing';
import { UNTRUSTED } from './certificate.fixture';
import { FetchFailed } from './fetch-failed';
import { createFetcher, Fetched, FeedFetcher } from './fetch-feed';
import { BODY_MAX_BYTES, FETCHES_PER_CLIENT, FETCHES_PER_HOST, RETRY_AFTER_MAX_MS } from './limits';
import { Origin, startOrigin, startRawOrigin } from './testing';

const FEED = '<?xml version="1.0"?><rss><channel><title>Pond</title></channel></rss>';
const MiB = 1_048_576;
/** What the system may hold between two sockets on its own, beside what was read. */
const IN_TRANSIT = 16 * MiB;
const QUICKLY = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };
const NOW = Date.parse('2026-03-01T12:00:00Z');

describe('a fetch', () => {
  const open: { close(): Promise<void> }[] = [];
  afterEach(async () => {
    for (const each of open.splice(0)) await each.close();
  });
  const opened = <Each extends { close(): Promise<void> }>(each: Each): Each => {
    open.unshift(each);
    return each;
  };
  const origin = async (answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<Origin> =>
    opened(await startOrigin(answer));
  const raw = async (answer: (socket: Socket) => void): Promise<Origin> => opened(await startRawOrigin(answer));
  const fetcherFor = (
    origins: Origin[],
    { timeoutMs = 5_000, maxBytes = BODY_MAX_BYTES }: { timeoutMs?: number; maxBytes?: number } = {},
  ): FeedFetcher =>
    opened(
      createFetcher({
        allowPrivate: origins.flatMap(({ port }) => [`127.0.0.1:${port}`, `localhost:${port}`]),
        limits: { timeoutMs, maxBytes },
        now: () => NOW,
      }),
    );
  const url = ({ port }: Origin, path = '/feed.xml'): string => `http://127.0.0.1:${port}${path}`;
  const failure = async (asked: Promise<Fetched>): Promise<FetchFailed> => {
    const error: unknown = await asked.then(
      ({ kind }) => new Error(`it was fetched: ${kind}`),
      (reason: unknown) => reason,
    );
    if (!(error instanceof FetchFailed)) throw error;
    return error;
  };
  const textOf = (fetched: Fetched): string => (fetched.kind === 'document' ? fetched.bytes.toString() : fetched.kind);

  describe('gives', () => {
    it.each([
      ['no', undefined, (bytes: Buffer) => bytes],
      ['identity', 'identity', (bytes: Buffer) => bytes],
      ['gzip', 'gzip', gzipSync],
      ['x-gzip', 'X-Gzip', gzipSync],
      ['brotli', 'br', brotliCompressSync],
      ['deflate', 'deflate', deflateSync],
      ['bare deflate', 'deflate', deflateRawSync],
    ])('a document in %s coding', async (_name, coding, encode) => {
      const at = await origin((_request, response) => {
        response.writeHead(200, {
          'content-type': 'application/rss+xml',
          etag: '"1"',
          'last-modified': 'Sun, 01 Mar 2026 10:00:00 GMT',
          ...(coding && { 'content-encoding': coding }),
        });
        response.end(encode(Buffer.from(FEED)));
      });
      const fetched = await fetcherFor([at]).fetch(url(at, '/feed.xml?a=1&b=%20'));
      expect(textOf(fetched)).toBe(FEED);
      expect(fetched).toMatchObject({
        contentType: 'application/rss+xml',
        etag: '"1"',
        lastModified: 'Sun, 01 Mar 2026 10:00:00 GMT',
        movedTo: null,
      });
      expect(at.requests).toEqual([
        {
          url: '/feed.xml?a=1&b=%20',
          headers: {
            accept: expect.stringContaining('application/rss+xml'),
            'accept-encoding': 'gzip, br, deflate',
            'user-agent': expect.stringMatching(/^Balados-Sync\//),
            host: `127.0.0.1:${at.port}`,
            connection: 'keep-alive',
          },
        },
      ]);
    });

    it('a document of exactly the longest length, and none that is a byte longer', async () => {
      for (const encode of [(bytes: Buffer) => bytes, gzipSync]) {
        const at = await origin(({ url: path }, response) => {
          const body = encode(Buffer.alloc(MiB + Number(path!.slice(1)), 'x'));
          response.writeHead(200, { 'content-encoding': encode === gzipSync ? 'gzip' : 'identity' });
          // Chunked: nothing says beforehand how long it is.
          response.write(body.subarray(0, 7));
          response.end(body.subarray(7));
        });
        const fetcher = fetcherFor([at], { maxBytes: MiB });
        expect(textOf(await fetcher.fetch(url(at, '/0')))).toHaveLength(MiB);
        expect((await failure(fetcher.fetch(url(at, '/1')))).code).toBe('too_large');
      }
    });
  });

  describe('asks whether what is held stands', () => {
    const HELD = { etag: '"held"', lastModified: 'Sun, 01 Mar 2026 10:00:00 GMT' };

    it('with both validators, also after a redirect', async () => {
      const at = await origin(({ url: path }, response) => {
        if (path === '/old') response.writeHead(302, { location: '/feed.xml' }).end();
        else response.writeHead(304, { etag: '"newer"' }).end();
      });
      expect(await fetcherFor([at]).fetch(url(at, '/old'), HELD)).toEqual({
        kind: 'unchanged',
        etag: '"newer"',
        lastModified: HELD.lastModified,
        movedTo: null,
      });
      for (const { headers } of at.requests)
        expect(headers).toMatchObject({ 'if-none-match': HELD.etag, 'if-modified-since': HELD.lastModified });
    });

    it('and takes no 304 that it did not ask for', async () => {
      const at = await origin((_request, response) => response.writeHead(304).end());
      const fetcher = fetcherFor([at]);
      expect((await failure(fetcher.fetch(url(at)))).code).toBe('other_status');
      const nothing = { etag: null, lastModified: null };
      expect((await failure(fetcher.fetch(url(at), nothing))).code).toBe('other_status');
      expect(at.requests.map(({ headers }) => headers['if-none-match'])).toEqual([undefined, undefined]);
    });
  });

  describe('follows redirects', () => {
    /** `/301/302/end` redirects twice, then answers. */
    const hops = () =>
      origin(({ url: path }, response) => {
        const [, status, rest] = /^\/(\d+)(\/.*)$/.exec(path!) ?? [];
        if (status) response.writeHead(Number(status), { location: rest }).end('moved');
        else response.end(FEED);
      });

    it.each([
      ['/301/end', '/end'],
      ['/308/end', '/end'],
      ['/301/308/301/308/301/end', '/end'],
      ['/302/end', null],
      ['/303/end', null],
      ['/307/end', null],
      ['/301/302/end', null],
      ['/302/301/end', null],
    ])('%s, and says whether it has moved for good', async (path, moved) => {
      const at = await hops();
      const fetched = await fetcherFor([at]).fetch(url(at, path));
      expect(textOf(fetched)).toBe(FEED);
      expect(fetched.movedTo).toBe(moved && url(at, moved));
    });

    it.each(['/301/302/303/307/308/301/end', '/302/302/302/302/302/302/302/302/end'])(
      'five times and no more: %s',
      async (path) => {
        const at = await hops();
        expect((await failure(fetcherFor([at]).fetch(url(at, path)))).code).toBe('too_many_redirects');
        expect(at.requests).toHaveLength(6);
      },
    );

    it('with the userinfo of the feed until they leave its origin, and never with that of a redirect', async () => {
      const other: Origin = await origin((_request, response) =>
        response.writeHead(302, { location: `http://who:what@127.0.0.1:${at.port}/end` }).end(),
      );
      const at = await origin(({ url: path }, response) => {
        if (path === '/feed.xml') response.writeHead(301, { location: '/next' }).end();
        else if (path === '/next') response.writeHead(301, { location: url(other) }).end();
        else response.end(FEED);
      });
      const fetched = await fetcherFor([at, other]).fetch(`http://ada:p%C3%A4ss%3A@127.0.0.1:${at.port}/feed.xml`);
      const basic = `Basic ${Buffer.from('ada:päss:').toString('base64')}`;
      expect(at.requests.map(({ url: path, headers }) => [path, headers.authorization])).toEqual([
        ['/feed.xml', basic],
        ['/next', basic],
        ['/end', undefined],
      ]);
      expect(other.requests.map(({ headers }) => headers.authorization)).toEqual([undefined]);
      // Where it is without its userinfo is no address for it.
      expect(fetched.movedTo).toBeNull();
    });

    it('and brings none of its credentials to another origin', async () => {
      const other = await origin((_request, response) => response.end(FEED));
      const at = await origin((_request, response) =>
        response.writeHead(301, { location: `http://localhost:${other.port}/?from=here` }).end(),
      );
      const fetched = await fetcherFor([at, other]).fetch(`http://ada:secret@127.0.0.1:${at.port}/`);
      expect(textOf(fetched)).toBe(FEED);
      expect(JSON.stringify(other.requests)).not.toMatch(/authorization|secret|referer|cookie/i);
    });
  });

  describe('fails with a code', () => {
    it.each([
      [404, 'not_found'],
      [410, 'gone'],
      [401, 'access_denied'],
      [403, 'access_denied'],
      [407, 'other_status'],
      [429, 'rate_limited'],
      [500, 'origin_failed'],
      [503, 'origin_failed'],
      [204, 'other_status'],
      [206, 'other_status'],
      [300, 'other_status'],
      [418, 'other_status'],
    ])('for %i: %s', async (status, code) => {
      const at = await origin((_request, response) => response.writeHead(status, { location: '/other' }).end());
      const error = await failure(fetcherFor([at]).fetch(url(at)));
      expect([error.code, error.retryAfterMs]).toEqual([code, null]);
      expect(at.requests).toHaveLength(1);
    });

    it.each([
      ['120', 120_000],
      ['0', null],
      ['-5', null],
      ['soon', null],
      ['99999999999999999999', RETRY_AFTER_MAX_MS],
      ['Sun, 01 Mar 2026 12:01:30 GMT', 90_000],
      ['Sun, 01 Mar 2026 11:00:00 GMT', null],
      ['Sat, 01 Mar 2036 11:00:00 GMT', RETRY_AFTER_MAX_MS],
    ])('and the patience that is asked for: %s', async (header, expected) => {
      const at = await origin((_request, response) => response.writeHead(503, { 'retry-after': header }).end());
      expect((await failure(fetcherFor([at]).fetch(url(at)))).retryAfterMs).toBe(expected);
    });

    it('when nobody listens', async () => {
      const at = await startOrigin(() => undefined);
      await at.close();
      expect((await failure(fetcherFor([at]).fetch(url(at)))).code).toBe('not_reachable');
    });

    it('when a certificate proves nothing, and when there is none', async () => {
      const server = createTlsServer(UNTRUSTED, (_request, response) => response.end(FEED)).listen(0, '127.0.0.1');
      await once(server, 'listening');
      opened({ close: async () => void server.close() });
      const plain = await origin((_request, response) => response.end(FEED));
      for (const { port } of [server.address() as AddressInfo, plain]) {
        const fetcher = opened(createFetcher({ allowPrivate: [`127.0.0.1:${port}`] }));
        expect((await failure(fetcher.fetch(`https://127.0.0.1:${port}/`))).code).toBe('bad_certificate');
      }
      expect(plain.requests).toEqual([]);
    });

    it('that tells nothing of the URL', async () => {
      const at = await origin((_request, response) => response.writeHead(404).end());
      const error = await failure(fetcherFor([at]).fetch(`http://127.0.0.1:${at.port}/?key=hunter2`));
      expect(error.message).not.toMatch(/hunter2|127\.0/);
    });
  });

  describe('is not held up, nor filled', () => {
    const trickle = (socket: Socket, everyMs: number, text: () => string): void => {
      const timer = setInterval(() => socket.write(text()), everyMs);
      socket.once('close', () => clearInterval(timer));
    };
    const endlessly = (socket: Socket, text: string): void => {
      const write = (): void => {
        while (!socket.destroyed && socket.write(text));
        if (!socket.destroyed) socket.once('drain', write);
      };
      write();
    };
    const chunk = (text: string): string => `${text.length.toString(16)}\r\n${text}\r\n`;
    const OK = 'HTTP/1.1 200 OK\r\n';

    // [name, what the origin does with a connection, code, the most that may have left the origin]
    it.each<[string, (socket: Socket) => void, string, number]>([
      ['silence', () => undefined, 'timeout', 0],
      ['a head that never ends', (socket) => trickle(socket, 10, () => 'x'), 'bad_response', 1_000],
      [
        'one byte at a time',
        (socket) => {
          socket.write(`${OK}content-length: 1000000\r\n\r\n`);
          trickle(socket, 20, () => 'x');
        },
        'timeout',
        1_000,
      ],
      [
        'one chunk at a time',
        (socket) => {
          socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
          trickle(socket, 20, () => chunk('x'));
        },
        'timeout',
        1_000,
      ],
      [
        'a chunk without an end',
        (socket) => {
          socket.write(`${OK}transfer-encoding: chunked\r\n\r\n1`);
          trickle(socket, 5, () => '0');
        },
        'bad_response',
        1_000,
      ],
      [
        'an endless body',
        (socket) => {
          socket.write(`${OK}\r\n`);
          endlessly(socket, 'x'.repeat(65_536));
        },
        'too_large',
        MiB + IN_TRANSIT,
      ],
      [
        'an endless chunked body',
        (socket) => {
          socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
          endlessly(socket, chunk('x'.repeat(65_536)));
        },
        'too_large',
        MiB + IN_TRANSIT,
      ],
      [
        'an endless body of tiny chunks',
        (socket) => {
          socket.write(`${OK}transfer-encoding: chunked\r\n\r\n`);
          endlessly(socket, chunk('x').repeat(1_000));
        },
        '(too_large|timeout)',
        6 * MiB + IN_TRANSIT,
      ],
      [
        'a length beyond the bound',
        (socket) => socket.write(`${OK}content-length: ${MiB + 1}\r\n\r\n${'x'.repeat(1_000)}`),
        'too_large',
        2_000,
      ],
      ['a length that is longer', (socket) => socket.end(`${OK}content-length: 100\r\n\r\nshort`), 'truncated', 100],
      ['a length that is none', (socket) => socket.end(`${OK}content-length: -1\r\n\r\nshort`), 'bad_response', 100],
      [
        'two lengths',
        (socket) => socket.end(`${OK}content-length: 5\r\ncontent-length: 6\r\n\r\nshort`),
        'bad_response',
        100,
      ],
      [
        'chunks that break off',
        (socket) => socket.end(`${OK}transfer-encoding: chunked\r\n\r\n${chunk('<rss>')}`),
        'truncated',
        100,
      ],
      [
        'a reset',
        (socket) => {
          socket.write(`${OK}content-length: 100\r\n\r\nshort`);
          setImmediate(() => socket.resetAndDestroy());
        },
        '(truncated|not_reachable)',
        100,
      ],
      ['no answer', (socket) => socket.end(), 'not_reachable', 0],
      ['no body', (socket) => socket.end(`${OK}content-length: 0\r\n\r\n`), 'empty', 100],
      ['an empty body that is closed', (socket) => socket.end(`${OK}connection: close\r\n\r\n`), 'empty', 100],
      [
        'an empty body in gzip',
        (socket) => {
          const body = gzipSync('');
          socket.write(`${OK}content-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`);
          socket.end(body);
        },
        'empty',
        200,
      ],
      [
        'a flood of header fields',
        (socket) => {
          socket.write(OK);
          endlessly(socket, `x-flood: ${'x'.repeat(1_000)}\r\n`);
        },
        'bad_response',
        IN_TRANSIT,
      ],
      [
        'an endless header field',
        (socket) => {
          socket.write(`${OK}x-flood: `);
          endlessly(socket, 'x'.repeat(10_000));
        },
        'bad_response',
        IN_TRANSIT,
      ],
      [
        'a flood of early hints',
        (socket) => endlessly(socket, 'HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n'.repeat(1_000)),
        'bad_response',
        IN_TRANSIT,
      ],
      ['another protocol', (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'), 'bad_response', 100],
      [
        'a switch of protocols',
        (socket) => socket.end('HTTP/1.1 101 Switching Protocols\r\nupgrade: other\r\nconnection: upgrade\r\n\r\n'),
        '(bad_response|not_reachable)',
        200,
      ],
    ])('by %s', async (_name, answer, code, bytes) => {
      const at = await raw(answer);
      const started = performance.now();
      const error = await failure(fetcherFor([at], { timeoutMs: 300, maxBytes: MiB }).fetch(url(at)));
      expect(error.code).toMatch(new RegExp(`^${code}$`));
      expect(performance.now() - started).toBeLessThan(5_000);
      expect(at.bytesSent()).toBeLessThanOrEqual(bytes);
    });

    const sending = (coding: string, body: Buffer) =>
      raw((socket) => {
        socket.write(`${OK}content-encoding: ${coding}\r\ncontent-length: ${body.length}\r\n\r\n`);
        socket.end(body);
      });
    /** 1 GiB of blanks, in 1 MiB; gzip may have many members. */
    const bomb = (): Buffer => {
      const member = gzipSync(Buffer.alloc(8 * MiB, ' '));
      return Buffer.concat(new Array<Buffer>(128).fill(member));
    };

    it.each<[string, string, () => Buffer, string]>([
      ['a bomb in gzip', 'gzip', bomb, 'too_large'],
      ['a bomb in brotli', 'br', () => brotliCompressSync(Buffer.alloc(64 * MiB, ' '), QUICKLY), 'too_large'],
      ['a bomb in deflate', 'deflate', () => deflateSync(Buffer.alloc(64 * MiB, ' ')), 'too_large'],
      ['a bomb in a bomb', 'gzip, gzip', () => gzipSync(bomb()), 'bad_encoding'],
      ['a coding that nobody asked for', 'zstd', () => Buffer.from(FEED), 'bad_encoding'],
      ['gzip that breaks off', 'gzip', () => gzipSync(FEED).subarray(0, 40), 'truncated'],
      ['gzip that ends in its head', 'gzip', () => gzipSync(FEED).subarray(0, 5), 'truncated'],
      ['brotli that breaks off', 'br', () => brotliCompressSync(FEED).subarray(0, 20), 'truncated'],
      ['gzip that is none', 'gzip', () => Buffer.from(FEED), 'bad_encoding'],
      ['brotli that is none', 'br', () => Buffer.from(FEED), 'bad_encoding'],
      ['gzip with a wrong checksum', 'gzip', () => wrongChecksum(), 'bad_encoding'],
    ])('by %s', async (_name, coding, body, code) => {
      const at = await sending(coding, body());
      const before = process.memoryUsage().rss;
      let most = before;
      const sampling = setInterval(() => (most = Math.max(most, process.memoryUsage().rss)), 5);
      const error = await failure(fetcherFor([at]).fetch(url(at)));
      clearInterval(sampling);
      expect(error.code).toBe(code);
      expect(most - before).toBeLessThan(128 * MiB);
    });

    const wrongChecksum = (): Buffer => {
      const body = gzipSync(FEED);
      body[body.length - 8]! ^= 0xff;
      return body;
    };

    it('by its caller, who stops it', async () => {
      const at = await raw(() => undefined);
      const stop = new AbortController();
      const asked = failure(fetcherFor([at]).fetch(url(at), undefined, stop.signal));
      await waitFor(() => at.connections(), { what: 'the connection' });
      stop.abort();
      expect((await asked).code).toBe('timeout');
    });
  });

  it(`asks one host ${FETCHES_PER_HOST} times at once, whatever the feed, and another host meanwhile`, async () => {
    const held: ServerResponse[] = [];
    let most = 0;
    const at = await origin((_request, response) => {
      held.push(response);
      most = Math.max(most, held.length);
    });
    const other = await origin((_request, response) => response.end(FEED));
    const fetcher = fetcherFor([at, other]);
    const asked = Array.from({ length: 7 }, (_, index) => fetcher.fetch(url(at, `/${index}`)));
    await waitFor(() => held.length === FETCHES_PER_HOST, { what: 'the first requests' });
    expect(textOf(await fetcher.fetch(url(other)))).toBe(FEED);
    const answering = setInterval(() => held.shift()?.end(FEED), 5);
    for (const each of await Promise.all(asked)) expect(textOf(each)).toBe(FEED);
    clearInterval(answering);
    expect(most).toBe(FETCHES_PER_HOST);
    const order = at.requests.map(({ url: path }) => Number(path!.slice(1)));
    expect([...order].sort()).toEqual([0, 1, 2, 3, 4, 5, 6]);
    // In their turn; those that are under way together may come in either order.
    for (const [place, asked] of order.entries()) expect(Math.abs(asked - place)).toBeLessThan(FETCHES_PER_HOST);
  });

  it('asks for one client while another has as many slow hosts as it may', async () => {
    const names = Array.from({ length: FETCHES_PER_CLIENT + 1 }, (_, index) => `slow-${index}.example`);
    const slow = await origin(() => undefined);
    const quick = await origin((_request, response) => response.end(FEED));
    const fetcher = createFetcher({
      allowPrivate: [...names.map((name) => `${name}:${slow.port}`), `127.0.0.1:${quick.port}`],
      lookup: (_name, _options, callback) => callback(null, [{ address: '127.0.0.1', family: 4 }]),
    });
    const stop = new AbortController();
    setMaxListeners(0, stop.signal);
    const ofOne = names.map((name) =>
      failure(fetcher.fetch(`http://${name}:${slow.port}/`, undefined, stop.signal, 'one')),
    );
    await waitFor(() => slow.requests.length === FETCHES_PER_CLIENT, { what: 'the slow requests' });
    expect(textOf(await fetcher.fetch(url(quick), undefined, undefined, 'another'))).toBe(FEED);
    expect(slow.requests).toHaveLength(FETCHES_PER_CLIENT);
    stop.abort();
    await Promise.all(ofOne);
    await fetcher.close();
  });

  it('says that it is busy, and nothing against the origin, when its turn does not come', async () => {
    const at = await origin(() => undefined);
    const fetcher = fetcherFor([at], { timeoutMs: 200 });
    const codes = await Promise.all([1, 2, 3].map(async () => (await failure(fetcher.fetch(url(at)))).code));
    expect(codes).toEqual(['timeout', 'timeout', 'busy']);
    expect(at.requests).toHaveLength(2);
  });
});
