import { QueryFailedError } from 'typeorm';

/** Why a request is not authenticated; the edge answers 401. */
export type UnauthenticatedReason =
  /** There is no bearer token: the challenge names no error (RFC 6750, 3.1). */
  | 'no_token'
  /** Not a token of ours, or changed on its way. */
  | 'invalid_token'
  /** It was one; a refresh helps. */
  | 'expired_token'
  /** The session was logged out, revoked or has run out; only a new login helps. */
  | 'revoked_session'
  /** The listener is being deleted. */
  | 'account_gone';

export class Unauthenticated extends Error {
  constructor(
    readonly reason: UnauthenticatedReason,
    message: string,
  ) {
    super(message);
    this.name = 'Unauthenticated';
  }
}

/** Too many passwords wait to be checked; the edge answers 503 with `Retry-After`. */
export class Busy extends Error {
  constructor(readonly retryAfterSeconds: number) {
    super('Too many passwords are being checked; try again shortly.');
    this.name = 'Busy';
  }
}

/** What vouches for a token cannot be read, so it cannot be accepted; the edge answers 503 with `Retry-After`. */
export class AccountsUnavailable extends Error {
  constructor(reason: string) {
    super(`Tokens cannot be checked: ${reason}`);
    this.name = 'AccountsUnavailable';
  }
}

/** A failed query as it may be logged: TypeORM's error carries the parameters, and Postgres' may carry the whole row. */
export async function withoutSecrets<Result>(work: Promise<Result>): Promise<Result> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof QueryFailedError)) throw error;
    throw Object.assign(new Error(error.message), { code: (error.driverError as { code?: string }).code });
  }
}
