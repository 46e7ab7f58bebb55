import { Controller, Get, HttpCode, Post, Req, Res, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { NotOpml, OpmlEntry, readOpml, writeOpml } from '@balados/feeds-content';
import { decodeBase64 } from '@balados/feeds-ids';
import { Documented, Problem, TakesXml } from '@balados/platform-service';
import { ListenerGuard } from '@balados/users-accounts';
import { GetSubscriptions } from '@balados/users-read';
import { ImportSubscriptions } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Readable } from 'node:stream';
import { z } from 'zod';
import { markStale, success, successAnswer } from '../answers';
import { CurrentSpeaker } from '../speaker';

const OPML = 'text/x-opml';
/** Of an address and a title that were not taken the beginning is enough to find them by, in characters. */
const TOLD_MAX_LENGTH = 200;

const importAnswer = z
  .object({
    imported: z.int(),
    already: z.int(),
    rejected: z.array(
      z.object({
        line: z.int(),
        url: z.string(),
        title: z.string().nullable(),
        code: z.string(),
        message: z.string(),
      }),
    ),
  })
  .meta({ id: 'OpmlImport' });

@Controller('api/v1/opml')
@UseGuards(ListenerGuard)
export class OpmlController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Documented({ summary: 'The podcasts that one is subscribed to, as an OPML file', answer: OPML })
  async write(@CurrentSpeaker() { userId }: Speaker, @Res() reply: FastifyReply): Promise<void> {
    const { answer, stale } = await this.queries.execute(new GetSubscriptions(userId));
    markStale(reply, stale);
    const feeds = answer.map(({ rss_source_feed }) => decodeBase64(rss_source_feed));
    reply
      .header('content-disposition', 'attachment; filename="balados-subscriptions.opml"')
      .type(`${OPML}; charset=utf-8`)
      .send(Readable.from(writeOpml('Subscriptions at Balados Sync', feeds), { objectMode: false }));
  }

  @Post()
  @TakesXml(OPML, 'application/xml', 'text/xml')
  @Documented({
    summary: 'Subscribes to the podcasts of an OPML file; answers what could not be taken',
    answer: successAnswer(importAnswer),
    problems: { 422: ['not_opml', 'opml_too_large'] },
  })
  @HttpCode(200)
  async read(@CurrentSpeaker() speaker: Speaker, @Req() { body, headers }: FastifyRequest) {
    if (!Buffer.isBuffer(body))
      throw new Problem(415, 'unsupported_media_type', `Send the file as ${OPML} or application/xml.`);
    const entries = entriesOf(body, headers['content-type']);
    const outcomes = await this.commands.execute(
      new ImportSubscriptions(
        speaker,
        entries.map(({ url }) => url),
      ),
    );
    return success({
      imported: outcomes.filter((outcome) => outcome === 'imported').length,
      already: outcomes.filter((outcome) => outcome === 'already').length,
      rejected: outcomes.flatMap((outcome, index) => {
        if (typeof outcome === 'string') return [];
        const { line, url, title } = entries[index]!;
        return [{ line, url: told(url), title: title && told(title), ...outcome }];
      }),
    });
  }
}

const told = (text: string): string => text.slice(0, TOLD_MAX_LENGTH);

function entriesOf(body: Buffer, contentType: string | undefined): OpmlEntry[] {
  try {
    return readOpml(body, contentType);
  } catch (error) {
    if (!(error instanceof NotOpml)) throw error;
    const { code, message, line, column } = error;
    throw new Problem(code === 'malformed' ? 400 : 422, code, message, line === null ? {} : { line, column });
  }
}
