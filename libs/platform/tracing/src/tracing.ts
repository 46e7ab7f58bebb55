import {
  Attributes,
  Context,
  context,
  ROOT_CONTEXT,
  Span,
  SpanKind,
  SpanStatusCode,
  trace,
  TraceFlags,
} from '@opentelemetry/api';
import type { SpanExporter } from '@opentelemetry/sdk-trace-base';

/** What is still to be told of traces when a process stops gets this long, in milliseconds. */
export const FLUSH_MS = 2_000;
/** Work that goes on with more traces than these together is told to so many of them. */
export const TOGETHER_MAX = 64;

/** One for a process, however many services are in it. */
let isOn = false;

/** Whether anything is to be told; where it is not, nothing of tracing is loaded, and all of this room does nothing. */
export const isTracing = (): boolean => isOn;

const tracer = () => trace.getTracer('balados-sync');

/**
 * Traces the process, if an `endpoint` is named: the variables of OpenTelemetry say the rest.
 * @param exporter takes what is told; by default the collector does
 * @returns what tells the rest at the end, within FLUSH_MS
 */
export async function startTracing(
  service: string,
  endpoint: string | undefined,
  exporter?: SpanExporter,
): Promise<() => Promise<void>> {
  if (endpoint === undefined) return async () => undefined;
  const { openProvider } = await import('./provider');
  const shutDown = openProvider(service, exporter);
  isOn = true;
  return async () => {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, FLUSH_MS)));
    await Promise.race([shutDown().catch(() => undefined), late]);
    clearTimeout(timer);
  };
}

/** Says that a span failed, and with what; messages may hold what is somebody's. */
export function failed(span: Span, error: unknown): void {
  span.setStatus({ code: SpanStatusCode.ERROR });
  span.setAttribute('error.type', error instanceof Error ? error.name : 'unknown');
}

/** Does the work as a part of what is under way. Attributes are ours: nothing that a person gave, no ids of theirs, no addresses. */
export async function traced<Result>(
  name: string,
  attributes: Attributes,
  work: () => Promise<Result>,
  kind = SpanKind.INTERNAL,
): Promise<Result> {
  if (!isOn) return work();
  return tracer().startActiveSpan(name, { attributes, kind }, (span) => over(span, work));
}

async function over<Result>(span: Span, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    failed(span, error);
    throw error;
  } finally {
    span.end();
  }
}

/** Where what is under way stands, as W3C's `traceparent`, for whoever goes on with it later; undefined when nobody will look. */
export function traceparent(): string | undefined {
  if (!isOn) return undefined;
  const span = trace.getActiveSpan();
  return span && written(span);
}

function written(span: Span): string | undefined {
  const { traceId, spanId, traceFlags } = span.spanContext();
  return (traceFlags & TraceFlags.SAMPLED) === 0 ? undefined : `00-${traceId}-${spanId}-01`;
}

const FORM = /^00-([\da-f]{32})-([\da-f]{16})-01$/;

/** To go on with what `traceparent` has written; undefined for anything else. */
export function contextOf(carried: unknown): Context | undefined {
  const [, traceId, spanId] = typeof carried === 'string' ? (FORM.exec(carried) ?? []) : [];
  if (!traceId || !spanId) return undefined;
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED, isRemote: true });
}

/**
 * Does one piece of work with which several traces go on: each has a span of it, in their order. Where they are several the work is a trace of its own, and
 * linked with each of them both ways.
 * @param carried what `traceparent` has written, or undefined
 * @param work gets where each of them stands now
 */
export async function together<Result>(
  name: string,
  carried: readonly (string | undefined)[],
  work: (carried: readonly (string | undefined)[]) => Promise<Result>,
): Promise<Result> {
  if (!isOn) return work(carried);
  const parents = new Map<string, Context>();
  for (const each of carried) {
    const parent = contextOf(each);
    if (parent && parents.size < TOGETHER_MAX) parents.set(each!, parent);
  }
  if (parents.size === 0) return work(carried);
  const links = [...parents.values()].map((parent) => ({ context: trace.getSpanContext(parent)! }));
  const whole = parents.size > 1 ? tracer().startSpan(name, { root: true, links }) : undefined;
  const backLinks = whole && [{ context: whole.spanContext() }];
  const spans = new Map(
    [...parents].map(([each, parent]) => [each, tracer().startSpan(name, { links: backLinks }, parent)] as const),
  );
  const [first] = spans.values();
  const all = whole ? [whole, ...spans.values()] : [...spans.values()];
  const next = carried.map((each) => {
    const span = each === undefined ? undefined : spans.get(each);
    return span ? written(span) : each;
  });
  try {
    return await context.with(trace.setSpan(ROOT_CONTEXT, whole ?? first!), () => work(next));
  } catch (error) {
    for (const span of all) failed(span, error);
    throw error;
  } finally {
    for (const span of all) span.end();
  }
}
