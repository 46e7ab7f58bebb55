import { Controller, Get, Inject, Res, UseGuards } from '@nestjs/common';
import { Documented, Problem, RETRY_AFTER_SECONDS } from '@balados/platform-service';
import type { Sql } from '@balados/platform-stores';
import { accountRecords, CurrentListener, ListenerGuard } from '@balados/users-accounts';
import type { Listener } from '@balados/users-accounts';
import { episodeAnswer, playAnswer, playlistAnswer, privacyAnswer, subscriptionAnswer } from '@balados/users-contracts';
import { exportOf, USERS_SQL } from '@balados/users-read';
import { LISTENER_STREAMS } from '@balados/users-write';
import type { ListenerStreams } from '@balados/users-write';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { z } from 'zod';

/** Exports that one process writes at a time; each folds and reads all streams of a listener. */
export const EXPORTS_AT_ONCE = 4;

const time = z.iso.datetime();
const exportAnswer = z
  .object({
    exported_at: time,
    account: z.object({
      user_id: z.guid(),
      username: z.string().nullable(),
      issuer: z.string().nullable(),
      subject: z.string().nullable(),
      created_at: time,
    }),
    tokens: z.array(
      z.object({
        id: z.guid(),
        kind: z.enum(['session', 'personal', 'app']),
        name: z.string().nullable(),
        device_id: z.string().nullable(),
        device_name: z.string().nullable(),
        created_at: time,
        last_used_at: time.nullable(),
        expires_at: time.nullable(),
        revoked_at: time.nullable(),
      }),
    ),
    keys: z.array(
      z.object({
        kid: z.guid(),
        name: z.string(),
        public_key: z.string(),
        created_at: time,
        last_used_at: time.nullable(),
      }),
    ),
    devices: z.array(z.object({ device_id: z.string(), caption: z.string(), type: z.string(), seen_at: time })),
    feed_names: z.array(z.object({ client: z.string(), feed: z.string(), known_as: z.string() })),
    app_settings: z.array(
      z.object({
        scope: z.enum(['account', 'device', 'podcast', 'episode']),
        device_id: z.string().nullable(),
        podcast: z.string().nullable(),
        episode: z.string().nullable(),
        key: z.string(),
        value: z.unknown(),
        updated_at: time,
      }),
    ),
    login_flows: z.array(z.object({ client: z.string(), created_at: time })),
    idempotent_answers: z.array(z.object({ answer: z.unknown(), created_at: time })),
    state: z.object({
      subscriptions: z.array(subscriptionAnswer),
      play_statuses: z.array(playAnswer),
      episodes: z.array(episodeAnswer),
      playlists: z.array(playlistAnswer),
      privacy_settings: z.array(privacyAnswer),
    }),
    events: z.array(
      z.object({
        id: z.guid(),
        stream: z.string(),
        revision: z.int(),
        type: z.string(),
        data: z.unknown(),
        metadata: z.unknown(),
      }),
    ),
  })
  .meta({ id: 'Export' });

@Controller('api/v1/account/export')
@UseGuards(ListenerGuard)
export class ExportController {
  private underWay = 0;

  constructor(
    @Inject(USERS_SQL) private readonly sql: Sql,
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
  ) {}

  /**
   * Written as the client takes it. When something fails in the middle the connection ends before the answer does, and so it does for a
   * client that stalls; one that goes away ends the reading.
   */
  @Get()
  @Documented({
    summary: 'All that is held of the listener; what the public sees of them derives from these events',
    answer: exportAnswer,
    problems: { 404: ['not_found'], 503: ['busy'] },
  })
  async write(@CurrentListener() { userId }: Listener, @Res() reply: FastifyReply): Promise<void> {
    if (this.underWay >= EXPORTS_AT_ONCE)
      throw new Problem(503, 'busy', 'Too many exports are being written; try again shortly.', {
        retryAfter: RETRY_AFTER_SECONDS,
      });
    this.underWay += 1;
    let pieces: AsyncGenerator<string> | undefined;
    const end = (): void => {
      this.underWay -= 1;
      // Left in the middle, it lets go of what it reads.
      void pieces?.return(undefined).catch(() => undefined);
    };
    try {
      const records = await accountRecords(this.sql, userId);
      if (!records) throw new Problem(404, 'not_found', 'This listener has no account here.');
      pieces = exportOf(this.streams, userId, { exported_at: new Date().toISOString(), ...records });
      // What fails before the first piece is a problem like any other.
      const first = await pieces.next();
      const body = Readable.from(startingWith(first.value as string, pieces), { objectMode: false });
      body.once('close', end);
      reply
        .header('cache-control', 'private, no-store')
        .header('content-disposition', 'attachment; filename="balados-export.json"')
        .type('application/json; charset=utf-8')
        .send(body);
    } catch (error) {
      end();
      throw error;
    }
  }
}

async function* startingWith(first: string, rest: AsyncGenerator<string>): AsyncGenerator<string> {
  yield first;
  yield* rest;
}
