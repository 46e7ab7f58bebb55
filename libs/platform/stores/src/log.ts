import type { Logger } from 'pino';

/** What is needed of a logger here; pino is one. */
export type Log = Pick<Logger, 'info' | 'warn' | 'error'>;

/** For callers that give no logger. */
export const silent: Log = { info: () => undefined, warn: () => undefined, error: () => undefined };

/** What is logged as the reason of a failure. */
export const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
