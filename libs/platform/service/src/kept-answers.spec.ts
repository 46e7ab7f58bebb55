import { connect } from 'node:net';
import { waitFor } from '@balados/testing';
import { Controller, Get, Header, Module, Param } from '@nestjs/common';
import { ANSWERS_KEPT_MS, ANSWERS_MAX_BYTES } from './kept-answers';
import { etagOf } from './etag';
import { Problem } from './problems';
import { startService, stopServices } from './service.fixture';

let asked: string[] = [];
let answers: Promise<unknown> = Promise.resolve();
let isOut = false;
let isWithdrawn = false;

@Controller()
class Lists {
  @Get('lists/:name')
  @Header('cache-control', 'public, max-age=29')
  async list(@Param('name') name: string) {
    asked.push(name);
    await answers;
    if (isOut) throw new Problem(503, 'unavailable', 'out', { retryAfter: 2 });
    if (name === 'none' || isWithdrawn) throw new Problem(404, 'not_public', 'none');
    return { name, number: asked.length, ...(name === 'long' && { text: 'x'.repeat(2 * ANSWERS_MAX_BYTES) }) };
  }

  @Get('brief/:name')
  @Header('cache-control', 'public, max-age=0')
  brief(@Param('name') name: string) {
    return this.list(name);
  }

  @Get('own/same')
  @Header('cache-control', 'public, max-age=1')
  same() {
    if (isOut) throw new Problem(503, 'unavailable', 'out', { retryAfter: 2 });
    return { name: 'same' };
  }

  @Get('own/:name')
  own(@Param('name') name: string) {
    asked.push(name);
    return { number: asked.length };
  }
}

@Module({ controllers: [Lists] })
class Everything {}

let url: string;
beforeEach(async () => {
  asked = [];
  answers = Promise.resolve();
  isOut = false;
  isWithdrawn = false;
  url = await startService(Everything, {}, { publicReads: true, keepsAnswers: {} });
});
afterEach(stopServices);

const get = async (path: string, headers: Record<string, string> = {}) => {
  const response = await fetch(`${url}${path}`, { headers });
  return { status: response.status, headers: response.headers, body: await response.text() };
};
const lasting = ({ headers }: { headers: Headers }) =>
  Object.fromEntries([...headers].filter(([name]) => !['date', 'x-correlation-id', 'content-length'].includes(name)));

it('gives an answer again, byte for byte and with its headers, and finds out anew when it is over', async () => {
  const first = await get('/lists/a');
  const again = await get('/lists/a');
  expect([again.status, again.body, lasting(again)]).toEqual([200, first.body, lasting(first)]);
  expect(again.headers.get('x-correlation-id')).not.toBe(first.headers.get('x-correlation-id'));
  expect(again.headers.get('content-length')).toBe(first.headers.get('content-length'));
  expect((await get('/lists/a', { 'x-correlation-id': 'mine' })).headers.get('x-correlation-id')).toBe('mine');
  const held = await get('/lists/a', { 'if-none-match': first.headers.get('etag')! });
  expect([held.status, held.body, held.headers.get('etag')]).toEqual([304, '', first.headers.get('etag')]);
  expect(held.headers.get('content-type')).toBeNull();
  expect(asked).toEqual(['a']);
  const over = performance.now() + ANSWERS_KEPT_MS;
  while (asked.length === 1 && performance.now() < over + 5_000) await get('/lists/a');
  expect(asked).toEqual(['a', 'a']);
  const { body } = await get('/metrics');
  // The question for the metrics is one that nothing is kept of, and finds nothing.
  expect(body).toContain('kept_answers_total{result="miss",service="test"} 3');
  expect(Number(/kept_answers_total\{result="hit",service="test"\} (\d+)/.exec(body)![1])).toBeGreaterThanOrEqual(3);
});

it('finds out once for all who ask at the same time', async () => {
  let answer!: (value: unknown) => void;
  answers = new Promise((resolve) => (answer = resolve));
  const all = Promise.all(Array.from({ length: 20 }, () => get('/lists/a')));
  const other = get('/lists/b?x=1');
  await get('/own/until-they-wait');
  answer(undefined);
  expect(new Set((await all).map(({ body }) => body)).size).toBe(1);
  expect((await other).status).toBe(200);
  expect(asked.filter((name) => name === 'a')).toEqual(['a']);
});

it('keeps no problems, no answers that are not public, and no other methods', async () => {
  for (const path of ['/lists/none', '/own/a']) {
    await get(path);
    await get(path);
  }
  expect(asked).toEqual(['none', 'none', 'a', 'a']);
  await get('/lists/a');
  const head = await fetch(`${url}/lists/a`, { method: 'HEAD' });
  expect([head.status, await head.text()]).toEqual([200, '']);
  expect((await fetch(`${url}/lists/a`, { method: 'POST' })).status).toBe(404);
});

it('tells those apart who ask for different things', async () => {
  const bodies = await Promise.all(['/lists/a', '/lists/a?b', '/lists/b'].map(async (path) => (await get(path)).body));
  expect(new Set(bodies).size).toBe(3);
});

it('lets nobody wait for a client that does not read its answer', async () => {
  const { hostname, port } = new URL(url);
  const deaf = connect(Number(port), hostname).pause();
  try {
    deaf.write(`GET /lists/long HTTP/1.1\r\nhost: ${hostname}\r\n\r\n`);
    await new Promise((resolve) => deaf.once('readable', resolve));
    expect((await get('/lists/long')).status).toBe(200);
    expect(asked).toEqual(['long', 'long']);
  } finally {
    deaf.destroy();
  }
});

describe('while no new answer can be had', () => {
  beforeEach(async () => {
    const outage = { reduce: () => ({ left: 'little' }), headers: { 'balados-withheld': 'true' } };
    url = await startService(Everything, {}, { publicReads: true, keepsAnswers: { outage } });
  });
  const about = ({ status, headers, body }: Awaited<ReturnType<typeof get>>) => ({
    status,
    body: JSON.parse(body || 'null') as unknown,
    ...Object.fromEntries(
      ['balados-stale', 'balados-withheld', 'retry-after'].map((name) => [name, headers.get(name)]),
    ),
  });
  const older = (path: string) =>
    waitFor(
      async () => {
        const answer = await get(path);
        return answer.headers.get('balados-stale') ? answer : undefined;
      },
      { what: 'an older answer' },
    );

  it('gives an older one whole, with its age, for as long as any cache might, and a new one when it can be had again', async () => {
    const first = await get('/lists/a');
    isOut = true;
    const again = await older('/lists/a');
    expect(about(again)).toEqual({
      ...about(first),
      'balados-stale': 'true',
    });
    expect(Number(again.headers.get('age'))).toBeGreaterThan(0);
    expect([again.headers.get('etag'), again.headers.get('cache-control')]).toEqual([
      first.headers.get('etag'),
      'public, max-age=29',
    ]);
    const held = await get('/lists/a', { 'if-none-match': first.headers.get('etag')! });
    expect([held.status, held.body, held.headers.get('retry-after')]).toEqual([304, '', null]);
    expect((await get('/lists/b')).status).toBe(503);
    isOut = false;
    const fresh = await waitFor(
      async () => {
        const answer = await get('/lists/a');
        return answer.headers.get('balados-stale') ? undefined : answer;
      },
      { what: 'a new answer' },
    );
    expect([fresh.status, fresh.headers.get('age')]).toEqual([200, null]);
  });

  it('gives less of it once it is older than that, which nobody is to keep', async () => {
    const first = await get('/brief/a');
    isOut = true;
    const again = await older('/brief/a');
    expect(about(again)).toEqual({
      status: 200,
      body: { left: 'little' },
      'balados-stale': 'true',
      'balados-withheld': 'true',
      'retry-after': null,
    });
    expect(again.headers.get('cache-control')).toBe('public, no-cache');
    expect(again.headers.get('etag')).not.toBe(first.headers.get('etag'));
    expect((await get('/brief/a', { 'if-none-match': again.headers.get('etag')! })).status).toBe(304);
  });

  it('gives none that was found out to hold no longer, whoever found out', async () => {
    await get('/lists/a');
    isWithdrawn = true;
    await waitFor(async () => (await get('/lists/a')).status === 404, { what: 'it to be gone' });
    isOut = true;
    expect((await get('/lists/a')).status).toBe(503);

    [isOut, isWithdrawn] = [false, false];
    await get('/lists/b');
    const next = () => etagOf(JSON.stringify({ name: 'b', number: asked.length + 1 }));
    // Somebody knows the next one already, whose bytes are not sent again.
    await waitFor(async () => (await get('/lists/b', { 'if-none-match': next() })).status === 304, {
      what: 'it to change',
    });
    isOut = true;
    expect((await get('/lists/b')).status).toBe(503);
  });

  it('gives one again for as long as before that was found out to hold still', async () => {
    const { headers } = await get('/own/same');
    expect(headers.get('cache-control')).toBe('public, max-age=1');
    const since = performance.now();
    // By somebody who holds it: longer than it would have been whole.
    await waitFor(
      async () => {
        await get('/own/same', { 'if-none-match': headers.get('etag')! });
        return performance.now() > since + 1_500;
      },
      { what: 'it to be older' },
    );
    isOut = true;
    const again = await older('/own/same');
    expect([again.body, again.headers.get('balados-withheld')]).toEqual(['{"name":"same"}', null]);
  });

  it('gives an older one to all who ask when there is silence, waits for it once, and no longer than a moment', async () => {
    await get('/brief/a');
    answers = new Promise(() => undefined);
    await older('/brief/a');
    const before = asked.length;
    const all = await Promise.all(Array.from({ length: 20 }, () => get('/brief/a')));
    expect(all.map(({ status }) => status)).toEqual(all.map(() => 200));
    expect(asked.length).toBe(before + 1);
  });
});
