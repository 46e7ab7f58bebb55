/** Who asks: the owner of a verified token. */
export interface Listener {
  userId: string;
  /** The token's `jti`. */
  sessionId: string;
  deviceId: string | null;
  deviceName: string | null;
}

/** What is read of a request, and left on it. */
export interface ListenerRequest {
  headers: { authorization?: string | undefined };
  listener?: Listener;
}
