import { DataSource } from 'typeorm';
import { AccessTokens } from './access-token';
import { AccountClosing } from './account-closing';
import { Accounts } from './accounts';
import { AppSettings } from './app-settings';
import { Authenticate, createAuthenticate } from './authenticate';
import { BasicCredentials } from './basic-credentials';
import { AccountsConfig } from './config';
import { KnownDevices } from './devices';
import { FeedNames } from './feed-names';
import { IdempotencyKeys } from './idempotency-keys';
import { jwtStrategy } from './jwt.strategy';
import { KeyTokens } from './key-tokens';
import { ListenerKeys } from './listener-keys';
import { ListenerTokens } from './listener-tokens';
import { LoginFlows } from './login-flows';
import { OutsideIssuer, OutsideTokens } from './outside-tokens';
import { PasswordChange } from './password-change';
import { Passwords } from './passwords';
import { SessionChecks } from './session-checks';
import { SessionCookies } from './session-cookies';
import { Sessions } from './sessions';
import { loadSigningKeys, PublicJwk } from './signing-key';

export interface AccountsParts {
  accounts: Accounts;
  sessions: Sessions;
  passwordChange: PasswordChange;
  closing: AccountClosing;
  tokens: ListenerTokens;
  keys: ListenerKeys;
  /** The body of `/.well-known/jwks.json`. */
  jwks: { keys: PublicJwk[] };
  authenticate: Authenticate;
  /** For apps that know name and password alone. */
  basic: BasicCredentials;
  cookies: SessionCookies;
  devices: KnownDevices;
  feedNames: FeedNames;
  appSettings: AppSettings;
  /** For apps that ask for a password of their own. */
  loginFlows: LoginFlows;
}

/** All of this room, over a migrated `users` database. @throws Error when JWT_PRIVATE_KEY cannot be used */
export async function createAccounts({
  dataSource,
  config,
}: {
  dataSource: DataSource;
  config: AccountsConfig;
}): Promise<AccountsParts> {
  const [signingKeys, passwords] = await Promise.all([
    loadSigningKeys(dataSource, config.JWT_PRIVATE_KEY),
    Passwords.create(config.PASSWORD_CONCURRENCY),
  ]);
  const [key] = signingKeys;
  const jwks = { keys: signingKeys.map(({ publicJwk }) => publicJwk) };
  const checks = new SessionChecks(dataSource);
  const idempotency = new IdempotencyKeys(dataSource, key.privateKey);
  const accounts = new Accounts(dataSource, passwords, idempotency);
  const basic = new BasicCredentials(accounts, dataSource);
  const keys = new ListenerKeys({ dataSource, idempotency });
  const accessTokens = new AccessTokens(key, config);
  const issuer = config.JWT_ISSUER_OWN;
  const trusted = outsideIssuer(config);
  return {
    accounts,
    sessions: new Sessions({ dataSource, accounts, accessTokens, checks, config }),
    passwordChange: new PasswordChange({ dataSource, passwords, checks, basic }),
    closing: new AccountClosing({ dataSource, passwords, checks, basic, keys }),
    tokens: new ListenerTokens({ dataSource, idempotency, checks, basic }),
    basic,
    cookies: new SessionCookies(signingKeys),
    devices: new KnownDevices(dataSource),
    feedNames: new FeedNames(dataSource),
    appSettings: new AppSettings(dataSource),
    loginFlows: new LoginFlows({ dataSource, accounts }),
    keys,
    jwks,
    authenticate: createAuthenticate({
      own: { issuer, strategy: jwtStrategy({ issuer, jwks }), checks },
      keys: new KeyTokens(keys),
      outside: trusted && { issuer: trusted.issuer, tokens: new OutsideTokens(dataSource, trusted) },
    }),
  };
}

function outsideIssuer(config: AccountsConfig): OutsideIssuer | undefined {
  const { JWKS_URI: jwksUri, JWT_ISSUER: issuer, JWT_AUDIENCE: audience } = config;
  return jwksUri && issuer && audience ? { jwksUri, issuer, audience } : undefined;
}
