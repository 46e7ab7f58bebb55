import { Refusal, StreamGone, TooContended } from '@balados/event-sourcing';
import { encodeBase64 } from '@balados/feeds-ids';
import { Problem, ProblemCodes, RETRY_AFTER_SECONDS } from '@balados/platform-service';
import { AccountsUnavailable, Busy, Unauthenticated } from '@balados/users-accounts';

/** The HTTP status of each refusal that the users context knows; one that is missing here is a defect of ours. */
const STATUS: Readonly<Record<string, number>> = {
  invalid_username: 422,
  invalid_password: 422,
  invalid_device: 422,
  username_taken: 409,
  invalid_credentials: 401,
  invalid_refresh_token: 401,
  login_required: 403,
  wrong_password: 403,
  token_unknown: 404,
  tokens_full: 422,
  username_missing: 422,
  key_unknown: 404,
  keys_full: 422,
  invalid_public_key: 422,
  private_key_sent: 422,
  idempotency_key_reused: 422,
  library_full: 422,
  episode_unknown: 404,
  episode_ambiguous: 409,
  playlist_unknown: 404,
  playlist_item_unknown: 404,
  playlist_exists: 409,
  playlists_full: 422,
  playlist_full: 422,
  privacy_full: 422,
  erasures_full: 422,
  setting_too_large: 422,
  settings_full: 422,
};

/** What any route of a listener may answer. */
export const LISTENER_PROBLEMS: ProblemCodes = {
  401: ['no_token', 'invalid_token', 'expired_token', 'revoked_session', 'account_gone'],
  503: ['busy', 'contended'],
};
/** What a route may answer that names an episode, with or without its feed. */
export const EPISODE_PROBLEMS: ProblemCodes = {
  404: ['episode_unknown'],
  409: ['episode_ambiguous'],
  422: ['library_full'],
};

const challenge = (reason: string): string => (reason === 'no_token' ? 'Bearer' : 'Bearer error="invalid_token"');

/** What counts as a failed check of a password. */
export const isWrongPassword = (error: unknown): boolean =>
  error instanceof Refusal && (error.code === 'invalid_credentials' || error.code === 'wrong_password');

/** From the errors of the users context to answers. */
export function usersProblem(error: unknown): Problem | undefined {
  if (error instanceof Refusal) {
    const status = STATUS[error.code];
    if (!status) return undefined;
    const { candidates, ...details } = error.details;
    const feeds = Array.isArray(candidates) ? { candidates: candidates.map(encodeBase64) } : {};
    return new Problem(status, error.code, error.message, { ...details, ...feeds });
  }
  if (error instanceof Unauthenticated) {
    return new Problem(401, error.reason, error.message, { headers: { 'www-authenticate': challenge(error.reason) } });
  }
  // The listener's streams were deleted for good, with their account.
  if (error instanceof StreamGone) {
    return new Problem(401, 'account_gone', 'This account was deleted.', {
      headers: { 'www-authenticate': challenge('gone') },
    });
  }
  if (error instanceof Busy) return new Problem(503, 'busy', error.message, { retryAfter: error.retryAfterSeconds });
  if (error instanceof AccountsUnavailable) {
    return new Problem(503, 'unavailable', 'Tokens cannot be checked; try again shortly.', {
      retryAfter: RETRY_AFTER_SECONDS,
    });
  }
  if (error instanceof TooContended) {
    return new Problem(503, 'contended', 'Too many devices write at once; send it again.', {
      retryAfter: RETRY_AFTER_SECONDS,
    });
  }
  return undefined;
}
