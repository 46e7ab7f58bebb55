import { Controller, Get, Header, Inject, Param, Query, Res } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { gpodderPodcast, LIST_FORMATS, listFile, podcastList } from '@balados/feeds-content';
import type { ListFormat } from '@balados/feeds-content';
import { canonicalFeed, InvalidId } from '@balados/feeds-ids';
import { Problem, RETRY_AFTER_SECONDS, Turns } from '@balados/platform-service';
import type { Sql } from '@balados/platform-stores';
import { popularPodcasts, publicPodcast, SEARCH_MAX_LENGTH, searchPodcasts } from '@balados/site-read';
import type { PublicPodcast } from '@balados/site-read';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { LASTING, nothingPublic } from './public.controller';
import { SITE_SQL } from './site-sql';

/** Searches of one copy at a time, each up to some 30 ms of Postgres; of those that come meanwhile so many wait. */
export const SEARCHES_AT_ONCE = 2;
export const SEARCHES_WAITING_MAX = 50;

// eslint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/;

const countPath = z.object({ file: listFile });
const searchPath = z.object({ format: z.enum(LIST_FORMATS) });
const searchQuery = z.object({
  q: z
    .string()
    .max(SEARCH_MAX_LENGTH)
    .refine((text) => !CONTROL.test(text), { message: 'contains control characters' }),
});
const podcastQuery = z.object({
  url: z.string().transform((text, context) => {
    try {
      return canonicalFeed(text);
    } catch (error) {
      if (!(error instanceof InvalidId)) throw error;
      context.addIssue({ code: 'custom', message: error.message, params: { code: error.code } });
      return z.NEVER;
    }
  }),
});

/**
 * What apps of gPodder's protocol ask without a listener. They are told of podcasts alone, never of people, and of those only that are
 * public: nothing has to be withheld of that.
 */
@Controller()
@ApiExcludeController()
export class GpodderDirectoryController {
  private readonly searches = new Turns({
    atATime: SEARCHES_AT_ONCE,
    waitingMax: SEARCHES_WAITING_MAX,
    busy: () =>
      new Problem(503, 'busy', 'Too many search at once; try again shortly.', { retryAfter: RETRY_AFTER_SECONDS }),
  });

  constructor(@Inject(SITE_SQL) private readonly sql: Sql) {}

  @Get('toplist/:file')
  async toplist(
    @Param({ schema: countPath }) { file }: z.infer<typeof countPath>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    send(reply, file.format, 'The most popular podcasts', await popularPodcasts(this.sql, { limit: file.count }));
  }

  @Get('search.:format')
  async search(
    @Param({ schema: searchPath }) { format }: z.infer<typeof searchPath>,
    @Query({ schema: searchQuery }) { q: text }: z.infer<typeof searchQuery>,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    send(reply, format, 'What was found', await this.searches.take(() => searchPodcasts(this.sql, { text })));
  }

  @Get('api/2/data/podcast.json')
  @Header('cache-control', LASTING)
  async podcast(@Query({ schema: podcastQuery }) { url }: z.infer<typeof podcastQuery>) {
    const podcast = await publicPodcast(this.sql, url);
    if (!podcast) throw nothingPublic('podcast');
    return gpodderPodcast(podcast);
  }

  /** Apps name an episode by its enclosure, of which nothing is kept beside counts. */
  @Get('api/2/data/episode.json')
  episode(): never {
    throw nothingPublic('episode');
  }

  /** Podcasts have no tags here. */
  @Get(['api/2/tags/:file', 'api/2/tag/:tag/:file'])
  @Header('cache-control', LASTING)
  tags(@Param({ schema: countPath }) _path: unknown): [] {
    return [];
  }
}

function send(reply: FastifyReply, format: ListFormat, title: string, podcasts: readonly PublicPodcast[]): void {
  const { type, body } = podcastList(format, title, podcasts);
  reply.header('cache-control', LASTING).type(type).send(body);
}
