import { LoggerService } from '@nestjs/common';
import pino, { Logger } from 'pino';

export type { Logger } from 'pino';

/** Never logged, at whatever depth of two they stand. */
const SECRETS = ['password', 'token', 'authorization', 'refresh_token', 'access_token', 'refreshToken', 'accessToken'];

/** A failed query's error carries its parameters, which are listeners' data: what is logged of an error is this alone. */
const withoutData = (error: Error & { code?: unknown }): object => ({
  type: error.name,
  message: error.message,
  code: error.code,
  stack: error.stack,
});

/** Lines of JSON on stdout; `service` names who speaks. What could be a secret is cut out wherever it is logged by name. */
export const createLogger = (service: string, level: string): Logger =>
  pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    serializers: { err: withoutData },
    redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: '[redacted]' },
  });

/** Nest's own lines, through the same logger; its start-up chatter only at `debug`. */
export const nestLogger = (log: Logger): LoggerService => ({
  log: (message: unknown, context?: string) => log.debug({ context }, String(message)),
  error: (message: unknown, ...rest: unknown[]) => log.error({ context: rest.at(-1), stack: rest[0] }, String(message)),
  warn: (message: unknown, context?: string) => log.warn({ context }, String(message)),
  debug: (message: unknown, context?: string) => log.debug({ context }, String(message)),
  verbose: (message: unknown, context?: string) => log.trace({ context }, String(message)),
});
