import { promisify } from 'node:util';
import { constants, gzip } from 'node:zlib';
import { Controller, Get, Inject, Param, Req, Res } from '@nestjs/common';
import { Documented } from '@balados/platform-service';
import { uuid } from '@balados/users-contracts';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { acceptsGzip } from './accepts-gzip';
import { Address, PersonalFeeds } from './personal-feeds';
import { SANDBOX, XML } from './rss.controller';

/** How long a client may keep a personal feed, in seconds. */
export const PERSONAL_MAX_AGE_S = 60;

/** What is no token is nobody's: 401 like one that was revoked. */
const tokenPath = z.object({ token: z.string().meta({ description: 'a personal token' }) });
const playlistPath = tokenPath.extend({ id: uuid.meta({ description: 'id of a playlist' }) });

const PROBLEMS = { 401: ['invalid_token'], 503: ['unavailable'] };

@Controller('api/v1/rss/user/:token')
export class PersonalController {
  constructor(@Inject(PersonalFeeds) private readonly feeds: PersonalFeeds) {}

  @Get('subscriptions')
  @Documented({
    summary: 'The newest 100 episodes of all podcasts that one listener has subscribed to, with play links',
    answer: 'application/xml',
    problems: PROBLEMS,
  })
  async subscriptions(
    @Param({ schema: tokenPath }) { token }: z.infer<typeof tokenPath>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await answer(request, reply, await this.feeds.subscriptions(token, addressOf(request)));
  }

  @Get('playlist/:id')
  @Documented({
    summary: 'The first 100 episodes of a playlist in its order, with play links',
    answer: 'application/xml',
    problems: { ...PROBLEMS, 404: ['playlist_unknown'] },
  })
  async playlist(
    @Param({ schema: playlistPath }) { token, id }: z.infer<typeof playlistPath>,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    await answer(request, reply, await this.feeds.playlist(token, id, addressOf(request)));
  }
}

function addressOf({ protocol, host, url }: FastifyRequest): Address {
  const home = `${protocol}://${host}`;
  return { self: `${home}${url}`, home: `${home}/` };
}

/** The token is in the address: pages that the feed links to learn nothing of it. */
async function answer(request: FastifyRequest, reply: FastifyReply, text: string): Promise<void> {
  reply
    .type(XML)
    .header('cache-control', `private, max-age=${PERSONAL_MAX_AGE_S}`)
    .header('referrer-policy', 'no-referrer')
    .header('content-security-policy', SANDBOX)
    .header('vary', 'accept-encoding');
  if (!acceptsGzip(request.headers['accept-encoding'])) return void reply.send(text);
  // Made for this one answer: the cheapest level.
  const body = await promisify(gzip)(text, { level: constants.Z_BEST_SPEED });
  reply.header('content-encoding', 'gzip').send(body);
}
