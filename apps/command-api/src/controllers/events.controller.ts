import { Controller, Get, Inject, Query, Req, Res, UseGuards } from '@nestjs/common';
import { addressOf, Documented, stopOf } from '@balados/platform-service';
import { CurrentListener, ListenerGuard } from '@balados/users-accounts';
import type { Listener } from '@balados/users-accounts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { EVENT_STREAMS } from '../event-streams';
import type { EventStreams } from '../event-streams';

const eventsQuery = z.object({ since: z.string().max(1_024).optional() });
const EVENTS = 'text/event-stream';

@Controller('api/v1/events')
@UseGuards(ListenerGuard)
export class EventsController {
  constructor(@Inject(EVENT_STREAMS) private readonly streams: EventStreams) {}

  /** Nothing that was written after the answer began, or after what `Last-Event-ID` stands for, goes untold. */
  @Get()
  @Documented({ summary: 'Tells of what changes, as it does, by server-sent events', answer: EVENTS })
  async follow(
    @CurrentListener() listener: Listener,
    @Query({ schema: eventsQuery }) { since }: z.infer<typeof eventsQuery>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    reply
      .header('cache-control', 'private, no-store')
      // For proxies that would otherwise wait for more.
      .header('x-accel-buffering', 'no')
      .type(EVENTS);
    if (request.method === 'HEAD') return void reply.send('');
    const { authorization, 'last-event-id': lastEventId } = request.headers;
    const text = await this.streams.begin({
      listener,
      address: addressOf(request),
      authorization,
      // A client that connects again does so by the address that it had at first.
      since: (lastEventId as string | undefined) || since,
      response: reply.raw,
      stop: stopOf(reply.raw),
    });
    reply.send(text);
  }
}
