import { Context } from '@balados/platform-stores';
import { Activity1700000000410 } from './activity-migration';
import { AppPasswords1700000000430 } from './app-passwords-migration';
import { Checkpoints1700000000260, LongStreams1700000000495, ToldEvents1700000000500 } from './checkpoints-migration';
import { AppSettings1700000000461 } from './app-settings-migration';
import { Devices1700000000440 } from './devices-migration';
import { AccountRow, ApiTokenRow, SigningKeyRow } from './entities';
import { Ends1700000000290 } from './ends-migration';
import { Erasures1700000000231, ErasuresOfParts1700000000240 } from './erasures-migration';
import { FeedNames1700000000490 } from './feed-names-migration';
import { FeedReader1700000000255 } from './feed-reader-migration';
import { InterventionsInUsers1700000000370 } from './interventions-migration';
import { KeysAndTokens1700000000210 } from './keys-migration';
import { LoginFlows1700000000450 } from './login-flows-migration';
import { Accounts1700000000001, ReadModels1700000000002, SavedEpisodes1700000000004 } from './migrations';
import { Playlists1700000000003 } from './playlists-migration';
import { usersRights } from './rights';
import { TokenReader1700000000250 } from './token-reader-migration';
import { UserPrivacy1700000000005 } from './privacy-migration';

export { LONG_STREAM_EVENTS } from './checkpoints-migration';
export * from './entities';
export { ACCOUNTS_WRITER, FEED_READER, TOKEN_READER, USERS_CLEANER } from './rights';

/** The `users` context: accounts and the listeners' read models. */
export const usersContext: Context = {
  schema: 'users',
  searchPath: ['users'],
  entities: [AccountRow, ApiTokenRow, SigningKeyRow],
  migrations: [
    Accounts1700000000001,
    ReadModels1700000000002,
    Playlists1700000000003,
    SavedEpisodes1700000000004,
    UserPrivacy1700000000005,
    KeysAndTokens1700000000210,
    Erasures1700000000231,
    ErasuresOfParts1700000000240,
    TokenReader1700000000250,
    FeedReader1700000000255,
    Checkpoints1700000000260,
    Ends1700000000290,
    InterventionsInUsers1700000000370,
    Activity1700000000410,
    AppPasswords1700000000430,
    Devices1700000000440,
    LoginFlows1700000000450,
    AppSettings1700000000461,
    FeedNames1700000000490,
    LongStreams1700000000495,
    ToldEvents1700000000500,
  ],
  rights: usersRights,
};

/** What a service connects with that reads these tables in a role of its own: it migrates nothing. */
export const tokenReadContext: Context = { schema: 'users', entities: [], migrations: [] };
