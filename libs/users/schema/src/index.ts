import { Context } from '@balados/platform-stores';
import { Accounts1700000000001, ReadModels1700000000002 } from './migrations';

/** The `users` context: accounts and the listeners' read models. */
export const usersContext: Context = {
  schema: 'users',
  entities: [],
  migrations: [Accounts1700000000001, ReadModels1700000000002],
};
