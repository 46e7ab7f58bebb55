import { ClientTCP } from '@nestjs/microservices';
import { context, propagation } from '@opentelemetry/api';
import { firstValueFrom, timeout, TimeoutError } from 'rxjs';
import { z } from 'zod';
import { FeedsClient, FeedUnavailable } from './feeds-client';
import { EPISODE, MESSAGE_MAX_LENGTH, METADATA } from './transport';

/** The proxy has this long for an answer, in milliseconds: it fetches for at most 20 s. */
export const FEEDS_CLIENT_TIMEOUT_MS = 22_000;

export interface OpenFeedsClient extends FeedsClient {
  /** Questions under way fail. */
  close(): void;
}

/**
 * Asks rss-proxy over TCP. Connects when first asked, and anew after the connection was lost.
 * @param url `tcp://host:port`, the proxy's FEEDS_HOST and FEEDS_PORT
 */
export function openFeedsClient(
  url: string,
  { timeoutMs = FEEDS_CLIENT_TIMEOUT_MS }: { timeoutMs?: number } = {},
): OpenFeedsClient {
  const { hostname, port } = new URL(url);
  const client = new ClientTCP({
    host: hostname.replace(/^\[|\]$/g, ''),
    port: Number(port),
    maxBufferSize: MESSAGE_MAX_LENGTH,
  });

  async function ask<Answer>(
    { pattern, answer }: { pattern: string; answer: z.ZodType<Answered<Answer>> },
    question: object,
  ): Promise<Answer> {
    let given: unknown;
    try {
      given = await firstValueFrom(client.send<unknown>(pattern, withTrace(question)).pipe(timeout(timeoutMs)));
    } catch (error) {
      if (error instanceof TimeoutError) throw new FeedUnavailable('late', "The feeds' service takes too long for it.");
      throw new FeedUnavailable('unreachable', `The feeds' service does not answer: ${reasonOf(error)}`);
    }
    const read = answer.safeParse(given);
    if (!read.success) throw new FeedUnavailable('unreachable', "The feeds' service answers in another form.");
    if ('answer' in read.data) return read.data.answer;
    const { code, message, retryAfterMs } = read.data.unavailable;
    throw new FeedUnavailable(code, message, retryAfterMs);
  }

  return {
    episode: (of) => ask(EPISODE, of),
    metadata: (of) => ask(METADATA, of),
    close: () => client.close(),
  };
}

/** Says nothing where nothing is traced. */
function withTrace(question: object): object {
  const trace = {};
  propagation.inject(context.active(), trace);
  return Object.keys(trace).length > 0 ? { ...question, trace } : question;
}

type Answered<Answer> =
  { answer: Answer } | { unavailable: { code: string; message: string; retryAfterMs: number | null } };

const reasonOf = (error: unknown): string => (error instanceof Error ? error.message : JSON.stringify(error));
