import { Rebuildable } from '@balados/platform-stores';
import { usersContext } from '@balados/users-schema';
import { usersProjector } from './users-projector';

/** The listeners' own read models, to be made anew. How far a stream was cut is not among what the log tells; jobs look again. */
export const usersRebuildable: Rebuildable = {
  projector: usersProjector,
  searchPath: usersContext.searchPath!,
  tables: [
    'users.subscriptions',
    'users.play_statuses',
    'users.saved_episodes',
    'users.shared_episodes',
    'users.playlists',
    'users.playlist_items',
    'users.user_privacy',
    'users.listener_revisions',
  ],
  readersIndexes: [
    'play_statuses_recent',
    'saved_episodes_recent',
    'listener_revisions_oldest',
    'listener_revisions_long',
    'listener_revisions_to_cut',
    'listener_revisions_active',
  ],
  copied: [],
};
