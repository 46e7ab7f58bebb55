import { randomUUID } from 'node:crypto';
import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Put, Res, UseGuards } from '@nestjs/common';
import { CommandBus, QueryBus } from '@nestjs/cqrs';
import { Documented, Problem } from '@balados/platform-service';
import {
  addPlaylistItemBody,
  changePlaylistBody,
  createPlaylistBody,
  playlistAnswer,
  playlistItemAnswer,
  playlistOrderBody,
  uuid,
} from '@balados/users-contracts';
import { ListenerGuard } from '@balados/users-accounts';
import { GetPlaylists } from '@balados/users-read';
import { ChangePlaylist, ChangePlaylistItem } from '@balados/users-write';
import type { Speaker } from '@balados/users-write';
import type { FastifyReply } from 'fastify';
import { z } from 'zod';
import { markStale, success, successAnswer } from '../answers';
import { CurrentSpeaker } from '../speaker';

const playlistPath = z.object({ id: uuid });
const itemPath = z.object({ id: uuid, item_id: uuid });
type PlaylistPath = z.infer<typeof playlistPath>;

@Controller('api/v1/playlists')
@UseGuards(ListenerGuard)
export class PlaylistsController {
  constructor(
    private readonly commands: CommandBus,
    private readonly queries: QueryBus,
  ) {}

  @Get()
  @Documented({ summary: 'All playlists, with their items', answer: z.object({ playlists: z.array(playlistAnswer) }) })
  async list(@CurrentSpeaker() { userId }: Speaker, @Res({ passthrough: true }) reply: FastifyReply) {
    const { answer, stale } = await this.queries.execute(new GetPlaylists(userId));
    markStale(reply, stale);
    return { playlists: answer };
  }

  @Get(':id')
  @Documented({
    summary: 'One playlist, with its items',
    answer: z.object({ playlist: playlistAnswer }),
    problems: { 404: ['playlist_unknown'] },
  })
  async one(
    @CurrentSpeaker() { userId }: Speaker,
    @Param({ schema: playlistPath }) { id }: PlaylistPath,
    @Res({ passthrough: true }) reply: FastifyReply,
  ) {
    const { answer, stale } = await this.queries.execute(new GetPlaylists(userId, id));
    markStale(reply, stale);
    if (!answer[0]) throw new Problem(404, 'playlist_unknown', 'this listener has no such playlist');
    return { playlist: answer[0] };
  }

  @Post()
  @Documented({
    summary: 'Makes a playlist',
    answer: successAnswer(playlistAnswer),
    problems: { 409: ['playlist_exists'], 422: ['playlists_full'] },
  })
  @HttpCode(200)
  async create(
    @CurrentSpeaker() speaker: Speaker,
    @Body({ schema: createPlaylistBody }) { id, name, description }: z.infer<typeof createPlaylistBody>,
  ) {
    const data = { playlistId: id ?? randomUUID(), name, description };
    return success(await this.commands.execute(new ChangePlaylist(speaker, { type: 'CreatePlaylist', data })));
  }

  @Patch(':id')
  @Documented({
    summary: 'Renames or describes a playlist',
    answer: successAnswer(playlistAnswer),
    problems: { 404: ['playlist_unknown'] },
  })
  async change(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: playlistPath }) { id: playlistId }: PlaylistPath,
    @Body({ schema: changePlaylistBody }) body: z.infer<typeof changePlaylistBody>,
  ) {
    const data = { playlistId, ...body };
    return success(await this.commands.execute(new ChangePlaylist(speaker, { type: 'ChangePlaylist', data })));
  }

  @Delete(':id')
  @Documented({
    summary: 'Deletes a playlist',
    answer: successAnswer(playlistAnswer),
    problems: { 404: ['playlist_unknown'] },
  })
  async delete(@CurrentSpeaker() speaker: Speaker, @Param({ schema: playlistPath }) { id: playlistId }: PlaylistPath) {
    const data = { playlistId };
    return success(await this.commands.execute(new ChangePlaylist(speaker, { type: 'DeletePlaylist', data })));
  }

  @Put(':id/order')
  @Documented({
    summary: 'Puts the items of a playlist in order',
    answer: successAnswer(playlistAnswer),
    problems: { 404: ['playlist_unknown', 'playlist_item_unknown'] },
  })
  async reorder(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: playlistPath }) { id: playlistId }: PlaylistPath,
    @Body({ schema: playlistOrderBody }) { items }: z.infer<typeof playlistOrderBody>,
  ) {
    const data = { playlistId, items };
    return success(await this.commands.execute(new ChangePlaylist(speaker, { type: 'ReorderPlaylist', data })));
  }

  @Post(':id/items')
  @Documented({
    summary: 'Adds an episode to a playlist',
    answer: successAnswer(playlistItemAnswer),
    problems: { 404: ['playlist_unknown'], 422: ['playlist_full'] },
  })
  @HttpCode(200)
  async addItem(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: playlistPath }) { id: playlistId }: PlaylistPath,
    @Body({ schema: addPlaylistItemBody }) body: z.infer<typeof addPlaylistItemBody>,
  ) {
    const { rss_source_feed: feed, rss_source_item: item, item_title: itemTitle, feed_title: feedTitle } = body;
    const data = { playlistId, feed, item, itemTitle, feedTitle };
    return success(await this.commands.execute(new ChangePlaylistItem(speaker, { type: 'AddPlaylistItem', data })));
  }

  @Delete(':id/items/:item_id')
  @Documented({
    summary: 'Takes an episode out of a playlist',
    answer: successAnswer(playlistItemAnswer),
    problems: { 404: ['playlist_unknown', 'playlist_item_unknown'] },
  })
  async removeItem(
    @CurrentSpeaker() speaker: Speaker,
    @Param({ schema: itemPath }) { id: playlistId, item_id: itemId }: z.infer<typeof itemPath>,
  ) {
    const data = { playlistId, itemId };
    return success(await this.commands.execute(new ChangePlaylistItem(speaker, { type: 'RemovePlaylistItem', data })));
  }
}
