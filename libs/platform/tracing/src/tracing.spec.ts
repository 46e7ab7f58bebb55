import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace-base';
import { isTracing, startTracing, together, traced, traceparent } from './tracing';

const [ONE, TWO] = ['1', '2'].map((digit) => `00-${digit.repeat(32)}-${digit.repeat(16)}-01`) as [string, string];
const UNWATCHED = `00-${'3'.repeat(32)}-${'3'.repeat(16)}-00`;

const spans: ReadableSpan[] = [];
const exporter: SpanExporter = {
  export: (some, done) => {
    spans.push(...some);
    done({ code: 0 });
  },
  shutdown: async () => undefined,
};
let tellTheRest: () => Promise<void>;

it('does nothing of it where no collector is named', async () => {
  tellTheRest = await startTracing('test', undefined);
  expect(isTracing()).toBe(false);
  expect(await traced('work', {}, async () => traceparent())).toBeUndefined();
  expect(await together('work', [ONE, undefined], async (carried) => carried)).toEqual([ONE, undefined]);
  await tellTheRest();
});

describe('where one is', () => {
  const told = (name: string) =>
    spans
      .filter((span) => span.name === name)
      .map((span) => {
        const links = span.links.map(({ context: { traceId, spanId } }) => ({ traceId, spanId }));
        const { traceId, spanId } = span.spanContext();
        const { attributes, status, parentSpanContext } = span;
        return { traceId, spanId, parentSpanId: parentSpanContext?.spanId, links, attributes, status };
      });

  beforeAll(async () => {
    tellTheRest = await startTracing('test', 'http://127.0.0.1:1', exporter);
    await traced('outer', { 'balados.events': 2 }, async () => {
      await Promise.resolve();
      await traced('inner', {}, async () => traceparent());
    });
    await traced('failing', {}, () => Promise.reject(new TypeError('of Ada'))).catch(() => undefined);
    // What stands where of these two, and what is told of work within.
    const carried = await together('several', [ONE, undefined, TWO, ONE, UNWATCHED, 'nonsense'], async (all) => {
      await traced('within several', {}, async () => undefined);
      return all;
    });
    const alone = await together('alone', [TWO], async (all) => {
      await traced('within alone', {}, async () => undefined);
      return all;
    });
    await tellTheRest();
    const ofSeveral = told('several').filter(({ parentSpanId }) => parentSpanId);
    const at = (given: string) => {
      const { traceId, spanId } = ofSeveral.find((span) => given.includes(span.traceId))!;
      return `00-${traceId}-${spanId}-01`;
    };
    expect(carried).toEqual([at(ONE), undefined, at(TWO), at(ONE), UNWATCHED, 'nonsense']);
    expect(alone).toEqual([`00-${'2'.repeat(32)}-${told('alone')[0]!.spanId}-01`]);
  });

  it('tells what is done within what', () => {
    const [outer, inner] = [told('outer')[0]!, told('inner')[0]!];
    expect([inner.traceId, inner.parentSpanId]).toEqual([outer.traceId, outer.spanId]);
    expect(outer).toMatchObject({ attributes: { 'balados.events': 2 }, status: { code: 0 } });
    expect(spans[0]!.resource.attributes).toMatchObject({ 'service.name': 'test' });
  });

  it('tells that something failed, and nothing of its message', () => {
    const [failing] = told('failing');
    expect(failing).toMatchObject({ status: { code: 2 }, attributes: { 'error.type': 'TypeError' } });
    expect(JSON.stringify(failing)).not.toContain('Ada');
    expect(spans.flatMap(({ events }) => events)).toEqual([]);
  });

  it('goes on with one trace', () => {
    const [alone] = told('alone');
    expect([alone!.traceId, alone!.parentSpanId, alone!.links]).toEqual(['2'.repeat(32), '2'.repeat(16), []]);
    expect(told('within alone')[0]!.parentSpanId).toBe(alone!.spanId);
  });

  it('goes on with several by a span in each, linked with the work that they share', () => {
    const [whole] = told('several').filter(({ parentSpanId }) => !parentSpanId);
    const each = told('several').filter(({ parentSpanId }) => parentSpanId);
    expect(each.map(({ traceId, parentSpanId }) => [traceId, parentSpanId])).toEqual([
      ['1'.repeat(32), '1'.repeat(16)],
      ['2'.repeat(32), '2'.repeat(16)],
    ]);
    for (const { links } of each) expect(links).toMatchObject([{ traceId: whole!.traceId, spanId: whole!.spanId }]);
    expect(whole!.links).toMatchObject(each.map(({ traceId, parentSpanId }) => ({ traceId, spanId: parentSpanId })));
    expect(told('within several')[0]!.parentSpanId).toBe(whole!.spanId);
  });
});
