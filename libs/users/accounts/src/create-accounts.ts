import { DataSource } from 'typeorm';
import { AccessTokens } from './access-token';
import { Accounts } from './accounts';
import { Authenticate, createAuthenticate } from './authenticate';
import { AccountsConfig } from './config';
import { jwtStrategy } from './jwt.strategy';
import { Passwords } from './passwords';
import { SessionChecks } from './session-checks';
import { Sessions } from './sessions';
import { loadSigningKey, PublicJwk } from './signing-key';

export interface AccountsParts {
  accounts: Accounts;
  sessions: Sessions;
  /** The body of `/.well-known/jwks.json`. */
  jwks: { keys: PublicJwk[] };
  authenticate: Authenticate;
}

/** All of this room, over a migrated `users` database. @throws Error when JWT_PRIVATE_KEY cannot be used */
export async function createAccounts({
  dataSource,
  config,
}: {
  dataSource: DataSource;
  config: AccountsConfig;
}): Promise<AccountsParts> {
  const [key, passwords] = await Promise.all([
    loadSigningKey(dataSource, config.JWT_PRIVATE_KEY),
    Passwords.create(config.PASSWORD_CONCURRENCY),
  ]);
  const jwks = { keys: [key.publicJwk] };
  const checks = new SessionChecks(dataSource);
  const accounts = new Accounts(dataSource, passwords);
  const accessTokens = new AccessTokens(key, config);
  return {
    accounts,
    sessions: new Sessions({ dataSource, accounts, accessTokens, checks, config }),
    jwks,
    authenticate: createAuthenticate(jwtStrategy({ issuer: config.JWT_ISSUER_OWN, jwks }), checks),
  };
}
