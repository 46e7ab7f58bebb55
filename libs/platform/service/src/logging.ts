import { LoggerService } from '@nestjs/common';
import pino, { DestinationStream, Logger } from 'pino';

export type { Logger } from 'pino';

/** Never logged, at whatever depth of two they stand. */
const SECRETS = [
  'password',
  'secret',
  'token',
  'authorization',
  'cookie',
  'refresh_token',
  'access_token',
  'refreshToken',
  'accessToken',
];
const CENSORED = '[redacted]';

/** Scheme, user and password, hosts, and the rest of a URL: what is before and behind its hosts may be secret, or is what somebody hears. */
const URLS = /\b([a-z][a-z\d+.-]*:\/\/)(?:[^\s/@"']*@)?([^\s/?#"'@]+)([^\s"']*)/gi;
/** Access tokens, and personal ones with the signature of a play link. */
const TOKENS = /\beyJ[\w-]+\.[\w-]+\.[\w-]+|(?<![\w-])[\w-]{43}(?:\.[\w-]+)?(?![\w-])/g;

/** What others say of a failure, without what could let somebody in; of URLs the hosts are left. */
export const withoutSecrets = (text: string): string =>
  text
    .replace(URLS, (_, scheme: string, hosts: string, rest: string) => `${scheme}${hosts}${rest === '' ? '' : '/…'}`)
    .replace(TOKENS, CENSORED);

/** A failed query's error carries its parameters, which are listeners' data: what is logged of an error is this alone. */
const withoutData = (error: Error & { code?: unknown }): object =>
  error instanceof Error
    ? {
        type: error.name,
        message: withoutSecrets(error.message),
        code: error.code,
        stack: error.stack && withoutSecrets(error.stack),
      }
    : { message: withoutSecrets(String(error)) };

const cleaned = (said: unknown): unknown => {
  if (typeof said === 'string') return withoutSecrets(said);
  if (typeof said !== 'object' || said === null || said instanceof Error) return said;
  return Object.fromEntries(
    Object.entries(said).map(([name, value]) => [name, typeof value === 'string' ? withoutSecrets(value) : value]),
  );
};

/**
 * Lines of JSON on stdout; `service` names who speaks. What could be a secret is cut out wherever it is logged by name, and out of every text
 * that has the form of one.
 */
export const createLogger = (service: string, level: string, to?: DestinationStream): Logger =>
  pino(
    {
      level,
      base: { service },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: withoutData },
      redact: { paths: SECRETS.flatMap((name) => [name, `*.${name}`]), censor: CENSORED },
      hooks: {
        logMethod(said, method) {
          method.apply(this, said.map(cleaned) as Parameters<typeof method>);
        },
      },
    },
    to,
  );

/** Nest's own lines, through the same logger; its start-up chatter only at `debug`. */
export const nestLogger = (log: Logger): LoggerService => ({
  log: (message: unknown, context?: string) => log.debug({ context }, String(message)),
  error: (message: unknown, ...rest: unknown[]) => log.error({ context: rest.at(-1), stack: rest[0] }, String(message)),
  warn: (message: unknown, context?: string) => log.warn({ context }, String(message)),
  debug: (message: unknown, context?: string) => log.debug({ context }, String(message)),
  verbose: (message: unknown, context?: string) => log.trace({ context }, String(message)),
});
