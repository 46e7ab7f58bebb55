export { AccountClosing } from './account-closing';
export { accountRecords, type AccountRecords } from './account-records';
export { type Account, Accounts, type Credentials, type Self } from './accounts';
export {
  AppSettings,
  SETTING_MAX_BYTES,
  SETTINGS_MAX_BYTES,
  SETTINGS_PER_LISTENER,
  type Settings,
  type SettingsOf,
} from './app-settings';
export { type Authenticate } from './authenticate';
export { BasicCredentials, type Means, type SignedIn } from './basic-credentials';
export { accountsConfig, type AccountsConfig, withOutsideIssuer } from './config';
export { type AccountsParts, createAccounts } from './create-accounts';
export { DEVICE_TYPES, DEVICES_PER_LISTENER, type KnownDevice, KnownDevices } from './devices';
export {
  type Erasure,
  ERASURES_LOCK,
  finishedErasures,
  finishErasure,
  forgetAccount,
  pendingErasures,
  type PendingErasure,
  reopenErasure,
  requestErasure,
  unfinishedErasures,
} from './erasures';
export { AccountsUnavailable, Busy, Unauthenticated, type UnauthenticatedReason } from './errors';
export {
  FEED_NAMES_PER_LISTENER,
  type FeedName,
  FeedNames,
  forgetFeedNames,
  forgetMoves,
  noteMove,
  otherNames,
} from './feed-names';
export { IDEMPOTENCY_KEY_MAX_LENGTH, isIdempotencyKey } from './idempotency-keys';
export { type Listener, type ListenerRequest, ownSession } from './listener';
export { AUTHENTICATE, CurrentListener, ListenerGuard } from './listener.guard';
export { type ListedKey, ListenerKeys } from './listener-keys';
export { type ListedToken, ListenerTokens, type NewToken, type TokenKind } from './listener-tokens';
export { endedLoginFlows, LOGIN_FLOW_SECONDS, LoginFlows, purgeLoginFlows } from './login-flows';
export { PasswordChange } from './password-change';
export { PASSWORD_MAX_BYTES, PASSWORD_MIN_BYTES } from './passwords';
export { hashOfPersonalToken, PersonalTokens } from './personal-tokens';
export { PEM_MAX_LENGTH } from './public-key';
export { endedSessions, purgeIdempotencyKeys, purgeSessions } from './purge-sessions';
export { COOKIE_SECONDS, SessionCookies } from './session-cookies';
export { type Device, Sessions, type Tokens } from './sessions';
export { type PublicJwk } from './signing-key';
export { isUsername, USERNAME_MAX_CHARACTERS, USERNAME_MIN_CHARACTERS, usernameKey } from './usernames';
