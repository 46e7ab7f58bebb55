import { DynamicModule, Module } from '@nestjs/common';
import { CqrsModule } from '@nestjs/cqrs';
import { Sql } from '@balados/platform-stores';
import { AccountsParts, AUTHENTICATE } from '@balados/users-accounts';
import {
  GetEpisodeActionsHandler,
  GetKnownFeedsHandler,
  GetItemsOfEnclosureHandler,
  GetPlaylistsHandler,
  GetPlaysHandler,
  GetPrivacyHandler,
  GetSavedEpisodesHandler,
  GetSubscriptionChangesHandler,
  GetSubscriptionsHandler,
  USERS_SQL,
} from '@balados/users-read';
import {
  ChangePlayHandler,
  ChangePlaylistHandler,
  ChangePlaylistItemHandler,
  ChangePrivacyHandler,
  ChangeSubscriptionHandler,
  ChangeSubscriptionsHandler,
  CLOCK,
  ChooseErasureHandler,
  EraseListenerHistoryHandler,
  ImportSubscriptionsHandler,
  LISTENER_STREAMS,
  ListenerStreams,
  MarkEpisodeHandler,
  ReportEpisodeActionsHandler,
  SyncHandler,
} from '@balados/users-write';
import { Config } from './config';
import { AccountsController } from './controllers/accounts.controller';
import { AuthController } from './controllers/auth.controller';
import { EpisodesController } from './controllers/episodes.controller';
import { EventsController } from './controllers/events.controller';
import { ExportController } from './controllers/export.controller';
import { FeedsOfApps } from './gpodder/feeds-of-app';
import { GpodderAuthController } from './gpodder/auth.controller';
import { GpodderDevicesController } from './gpodder/devices.controller';
import { GpodderEpisodesController } from './gpodder/episodes.controller';
import { GpodderFavoritesController } from './gpodder/favorites.controller';
import { GpodderListsController } from './gpodder/lists.controller';
import { GpodderSettingsController } from './gpodder/settings.controller';
import { GpodderSimpleController } from './gpodder/simple.controller';
import { GpodderSubscriptionsController } from './gpodder/subscriptions.controller';
import { GpodderSuggestionsController } from './gpodder/suggestions.controller';
import type { PopularPodcasts } from './gpodder/suggestions.controller';
import { GpodderUpdatesController } from './gpodder/updates.controller';
import { HistoryController } from './controllers/history.controller';
import { KeysController } from './controllers/keys.controller';
import { OpmlController } from './controllers/opml.controller';
import { PlayController } from './controllers/play.controller';
import { PlaylistsController } from './controllers/playlists.controller';
import { PrivacyController } from './controllers/privacy.controller';
import { SubscriptionsController } from './controllers/subscriptions.controller';
import { SyncController } from './controllers/sync.controller';
import { TokensController } from './controllers/tokens.controller';
import { NextcloudAppPasswordController } from './nextcloud/app-password.controller';
import { NextcloudLoginController } from './nextcloud/login.controller';
import { NextcloudSyncController } from './nextcloud/sync.controller';
import { EVENT_STREAMS, EventStreams } from './event-streams';
import { ACCOUNTS, CONFIG, POPULAR_PODCASTS } from './tokens';

export interface CommandApiDependencies {
  config: Config;
  sql: Sql;
  accounts: AccountsParts;
  streams: ListenerStreams;
  eventStreams: EventStreams;
  popular: PopularPodcasts;
}

@Module({})
export class CommandApiModule {
  static with(parts: CommandApiDependencies): DynamicModule {
    const { config, sql, accounts, streams, eventStreams, popular } = parts;
    return {
      module: CommandApiModule,
      imports: [CqrsModule.forRoot()],
      controllers: [
        AccountsController,
        ExportController,
        AuthController,
        TokensController,
        KeysController,
        SubscriptionsController,
        OpmlController,
        EventsController,
        PlayController,
        SyncController,
        PlaylistsController,
        EpisodesController,
        PrivacyController,
        HistoryController,
        GpodderAuthController,
        GpodderDevicesController,
        GpodderSubscriptionsController,
        GpodderEpisodesController,
        GpodderSimpleController,
        GpodderFavoritesController,
        GpodderSettingsController,
        GpodderSuggestionsController,
        GpodderUpdatesController,
        GpodderListsController,
        NextcloudSyncController,
        NextcloudLoginController,
        NextcloudAppPasswordController,
      ],
      providers: [
        { provide: CONFIG, useValue: config },
        { provide: ACCOUNTS, useValue: accounts },
        { provide: AUTHENTICATE, useValue: accounts.authenticate },
        { provide: LISTENER_STREAMS, useValue: streams },
        { provide: EVENT_STREAMS, useValue: eventStreams },
        { provide: USERS_SQL, useValue: sql },
        { provide: POPULAR_PODCASTS, useValue: popular },
        { provide: CLOCK, useValue: Date.now },
        ChangeSubscriptionHandler,
        ChangeSubscriptionsHandler,
        ImportSubscriptionsHandler,
        ChangePlayHandler,
        SyncHandler,
        GetSubscriptionsHandler,
        GetSubscriptionChangesHandler,
        GetKnownFeedsHandler,
        FeedsOfApps,
        GetPlaysHandler,
        ChangePlaylistHandler,
        ChangePlaylistItemHandler,
        GetPlaylistsHandler,
        MarkEpisodeHandler,
        ReportEpisodeActionsHandler,
        GetEpisodeActionsHandler,
        GetSavedEpisodesHandler,
        GetItemsOfEnclosureHandler,
        ChangePrivacyHandler,
        ChooseErasureHandler,
        EraseListenerHistoryHandler,
        GetPrivacyHandler,
      ],
    };
  }
}
