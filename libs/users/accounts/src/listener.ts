import { Refusal } from '@balados/event-sourcing';

/** Who asks: the owner of a verified token. */
export interface Listener {
  userId: string;
  /** The session of a login with us, the token's `jti`; null for a token that somebody else signed. */
  sessionId: string | null;
  deviceId: string | null;
  deviceName: string | null;
}

/** The session of a listener who logged in with us. @throws Refusal `login_required` for any other token */
export function ownSession({ sessionId }: Listener): string {
  if (sessionId === null)
    throw new Refusal('login_required', 'This wants the access token of a login, not one that was signed elsewhere.');
  return sessionId;
}

/** What is read of a request, and left on it. */
export interface ListenerRequest {
  headers: { authorization?: string | undefined };
  listener?: Listener;
}
