import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { WirePlaylist, wirePlaylist, WirePlaylistItem, wirePlaylistItem } from '@balados/users-contracts';
import { DropContent, EraseHistory, playlistItemId, PlaylistsCommand, standingItems } from '@balados/users-domain';
import { CLOCK, LISTENER_STREAMS } from './commands';
import type { WithoutNow } from './commands';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';

type ItemCommand = Extract<PlaylistsCommand, { type: 'AddPlaylistItem' | 'RemovePlaylistItem' }>;

/** Changes one playlist of the listener; answers how it then stands, with the items that stand in it. */
export class ChangePlaylist extends Command<WirePlaylist> {
  constructor(
    readonly speaker: Speaker,
    readonly change: WithoutNow<
      Exclude<PlaylistsCommand, DropContent | EraseHistory | ItemCommand | { type: 'MergePlaylists' }>
    >,
  ) {
    super();
  }
}

/** Changes one item of a playlist of the listener; answers how the item then stands. */
export class ChangePlaylistItem extends Command<WirePlaylistItem> {
  constructor(
    readonly speaker: Speaker,
    readonly change: WithoutNow<ItemCommand>,
  ) {
    super();
  }
}

@CommandHandler(ChangePlaylist)
export class ChangePlaylistHandler implements ICommandHandler<ChangePlaylist> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  execute({ speaker, change }: ChangePlaylist): Promise<WirePlaylist> {
    const now = this.clock();
    const command = { type: change.type, data: { ...change.data, now } } as PlaylistsCommand;
    // It is there: the decider refuses the command otherwise.
    return this.streams.playlists.handle(speaker.userId, command, metadataOf(speaker, now), ({ state }) => {
      const playlist = state.playlists.get(change.data.playlistId)!;
      return wirePlaylist(playlist, standingItems(playlist).map(wirePlaylistItem));
    });
  }
}

@CommandHandler(ChangePlaylistItem)
export class ChangePlaylistItemHandler implements ICommandHandler<ChangePlaylistItem> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  execute({ speaker, change }: ChangePlaylistItem): Promise<WirePlaylistItem> {
    const now = this.clock();
    const command = { type: change.type, data: { ...change.data, now } } as PlaylistsCommand;
    const itemId = change.type === 'AddPlaylistItem' ? playlistItemId(change.data) : change.data.itemId;
    return this.streams.playlists.handle(speaker.userId, command, metadataOf(speaker, now), ({ state }) =>
      wirePlaylistItem(state.playlists.get(change.data.playlistId)!.items.get(itemId)!),
    );
  }
}
