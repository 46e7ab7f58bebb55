import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { onlyItem } from '@balados/feeds-content';
import { Found, FRESH_MS, isPrivateFeed } from '@balados/feeds-fetch';
import { feedParameter, itemParameter } from '@balados/feeds-ids';
import { addressOf, Documented, Problem } from '@balados/platform-service';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { acceptsGzip } from './accepts-gzip';
import type { Feeds } from './feeds';
import { FEED_PROBLEMS, feedProblem } from './problems';
import type { ServedFeed } from './served-feed';

export const FEEDS = Symbol('the feeds');

export const XML = 'application/xml; charset=utf-8';
/** Shown in a browser, a stranger's document runs nothing, loads nothing and is of no origin. */
export const SANDBOX = "default-src 'none'; frame-ancestors 'none'; sandbox";

const feedPath = z.object({ feed: feedParameter });
const itemPath = feedPath.extend({ item: itemParameter });

@Controller('api/v1/rss/proxy')
export class RssController {
  constructor(@Inject(FEEDS) private readonly feeds: Feeds) {}

  @Get(':feed')
  @Documented({ summary: 'A feed, for any site to read', answer: 'application/xml', problems: FEED_PROBLEMS })
  async feed(
    @Param({ schema: feedPath }) { feed }: z.infer<typeof feedPath>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const found = await this.find(feed, request);
    const { body, compressed, etag, etagOfCompressed } = found.document;
    this.describe(reply, feed, found).header('vary', 'accept-encoding');
    if (acceptsGzip(request.headers['accept-encoding']))
      reply
        .header('content-encoding', 'gzip')
        .header('etag', etagOfCompressed)
        .send(await compressed());
    else reply.header('etag', etag).send(body);
  }

  @Get(':feed/:item')
  @Documented({
    summary: 'The feed with one of its items alone, whose guid and enclosure are both as named',
    answer: 'application/xml',
    problems: { ...FEED_PROBLEMS, 404: ['not_in_feed'] },
  })
  async item(
    @Param({ schema: itemPath }) { feed, item }: z.infer<typeof itemPath>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    const found = await this.find(feed, request);
    const text = onlyItem(found.document.open, item);
    if (text === undefined) throw new Problem(404, 'not_in_feed', 'The feed does not hold this item.');
    this.describe(reply, feed, found).send(text);
  }

  private async find(feed: string, request: FastifyRequest): Promise<Found<ServedFeed>> {
    try {
      return await this.feeds.cache.get(feed, addressOf(request));
    } catch (error) {
      throw feedProblem(error, feed, this.feeds.cache.failingForMs(feed)) ?? error;
    }
  }

  /** What clients are told of a copy: how old it is, and how long they may keep it. */
  private describe(reply: FastifyReply, feed: string, { checkedAt, isStale }: Found<ServedFeed>): FastifyReply {
    const ageMs = Math.max(0, this.feeds.now() - checkedAt);
    const leftS = isStale ? 0 : Math.floor(Math.max(0, FRESH_MS - ageMs) / 1_000);
    reply
      .type(XML)
      .header('cache-control', `${isPrivateFeed(feed) ? 'private' : 'public'}, max-age=${leftS}`)
      .header('age', String(Math.floor(ageMs / 1_000)))
      .header('content-security-policy', SANDBOX);
    return isStale ? reply.header('balados-stale', 'true') : reply;
  }
}
