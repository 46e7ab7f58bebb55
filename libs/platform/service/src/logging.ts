import { LoggerService } from '@nestjs/common';
import pino, { Logger } from 'pino';

export type { Logger } from 'pino';

/** Lines of JSON on stdout; `service` names who speaks. What could be a secret is cut out wherever it is logged by name. */
export const createLogger = (service: string, level: string): Logger =>
  pino({
    level,
    base: { service },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    redact: {
      paths: [
        'password',
        'token',
        'authorization',
        '*.password',
        '*.token',
        '*.authorization',
        'req.headers.authorization',
      ],
      censor: '[redacted]',
    },
  });

/** Nest's own lines, through the same logger; its start-up chatter only at `debug`. */
export const nestLogger = (log: Logger): LoggerService => ({
  log: (message: unknown, context?: string) => log.debug({ context }, String(message)),
  error: (message: unknown, ...rest: unknown[]) => log.error({ context: rest.at(-1), stack: rest[0] }, String(message)),
  warn: (message: unknown, context?: string) => log.warn({ context }, String(message)),
  debug: (message: unknown, context?: string) => log.debug({ context }, String(message)),
  verbose: (message: unknown, context?: string) => log.trace({ context }, String(message)),
});
