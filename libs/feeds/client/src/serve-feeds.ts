import { AddressInfo, Server } from 'node:net';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { Controller, Inject, LoggerService, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MessagePattern, MicroserviceOptions, Payload, Transport } from '@nestjs/microservices';
import { context, propagation, ROOT_CONTEXT } from '@opentelemetry/api';
import { z } from 'zod';
import type { FeedsClient } from './feeds-client';
import { FeedUnavailable } from './feeds-client';
import { FEEDS_CLIENT_TIMEOUT_MS } from './open-feeds-client';
import { EPISODE, MESSAGE_MAX_LENGTH, METADATA } from './transport';

const FEEDS = Symbol('what answers');

@Controller()
class FeedsController {
  constructor(@Inject(FEEDS) private readonly feeds: FeedsClient) {}

  @MessagePattern(EPISODE.pattern)
  episode(@Payload() question: unknown) {
    return answered(EPISODE.question, question, (of) => this.feeds.episode(of));
  }

  @MessagePattern(METADATA.pattern)
  metadata(@Payload() question: unknown) {
    return answered(METADATA.question, question, (of) => this.feeds.metadata(of));
  }
}

@Module({})
class FeedsModule {}

/** What is unavailable is an answer like others: the transport's own errors lose their codes. */
async function answered<Question, Answer>(
  form: z.ZodType<Question & { trace?: object }>,
  given: unknown,
  find: (question: Question) => Promise<Answer>,
) {
  const question = form.safeParse(given);
  if (!question.success)
    return { unavailable: { code: 'malformed', message: question.error.message, retryAfterMs: null } };
  try {
    const { trace, ...of } = question.data;
    // Goes on with the trace of whoever asks.
    const found = context.with(propagation.extract(ROOT_CONTEXT, trace ?? {}), () => find(of as Question));
    return { answer: await found };
  } catch (error) {
    if (!(error instanceof FeedUnavailable)) throw error;
    const { code, message, retryAfterMs } = error;
    return { unavailable: { code, message, retryAfterMs } };
  }
}

export interface FeedsServer {
  port: number;
  /** Takes no new connection, and waits for the answers under way. */
  close(): Promise<void>;
}

/** Longest wait for answers under way at the end, in milliseconds; nobody waits longer for them. */
export const DRAIN_MS = FEEDS_CLIENT_TIMEOUT_MS;

/** Answers other services over TCP. It asks nobody who they are: the address must be one that only they reach. Rejects when the port is taken. */
export async function serveFeeds(
  feeds: FeedsClient,
  { host, port, logger, drainMs = DRAIN_MS }: { host: string; port: number; logger: LoggerService; drainMs?: number },
): Promise<FeedsServer> {
  const underWay = new Set<Promise<unknown>>();
  const watched = <Answer>(answer: Promise<Answer>): Promise<Answer> => {
    const ended = answer.catch(() => undefined).finally(() => underWay.delete(ended));
    underWay.add(ended);
    return answer;
  };
  const client: FeedsClient = {
    episode: (of) => watched(feeds.episode(of)),
    metadata: (of) => watched(feeds.metadata(of)),
  };
  const app = await NestFactory.createMicroservice<MicroserviceOptions>(
    { module: FeedsModule, controllers: [FeedsController], providers: [{ provide: FEEDS, useValue: client }] },
    {
      transport: Transport.TCP,
      options: { host, port, maxBufferSize: MESSAGE_MAX_LENGTH, maxSendBufferSize: MESSAGE_MAX_LENGTH * 16 },
      logger,
      abortOnError: false,
    },
  );
  await app.listen();
  const server = app.unwrap<Server>();
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.close();
      await Promise.race([Promise.all(underWay), setTimeout(drainMs, undefined, { ref: false })]);
      // Nest cuts connections: what was just answered leaves first.
      await setImmediate();
      await app.close();
    },
  };
}
