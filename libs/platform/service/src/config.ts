import { isIP } from 'node:net';
import { flawOfEventStoreUrl } from '@balados/platform-stores';
import { z } from 'zod';

/** `a, b` → its parts. */
const list = z.string().transform((text) => text.split(',').map((part) => part.trim()));

const rate = (byDefault: number) => z.coerce.number().int().min(0).max(1_000_000_000).default(byDefault);

/** An address, a network such as 10.0.0.0/8, or one of the names that stand for several. */
function isNetwork(text: string): boolean {
  if (['loopback', 'linklocal', 'uniquelocal'].includes(text)) return true;
  const [address = '', bits, more] = text.split('/');
  const longest = { 0: -1, 4: 32, 6: 128 }[isIP(address)]!;
  if (longest < 0 || more !== undefined) return false;
  return bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) > 0 && Number(bits) <= longest);
}

const isOrigin = (text: string): boolean => text === '*' || (URL.canParse(text) && new URL(text).origin === text);

/** What every service reads; each extends it with its own. A variable that is set but empty counts as unset. */
export const serviceConfig = z.object({
  PORT: z.coerce
    .number()
    .int()
    .min(0)
    .max(65_535)
    .default(4_000)
    .describe('Port to listen on; 0 lets the system choose.'),
  HOST: z.string().default('0.0.0.0').describe('Address to listen on.'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal'])
    .default('info')
    .describe('Least level that is logged.'),
  TRUSTED_PROXIES: list
    .refine((parts) => parts.every(isNetwork), 'must be addresses or networks such as 10.0.0.0/8')
    .optional()
    .describe('Proxies whose X-Forwarded-For is believed.'),
  CORS_ORIGINS: list
    .refine((parts) => parts.every(isOrigin), 'must be * or origins such as https://app.example')
    .default(['*'])
    .describe("Sites whose pages may use a listener's API; public reads are open to all."),
  OTEL_EXPORTER_OTLP_ENDPOINT: z
    .string()
    .refine((text) => /^https?:\/\//.test(text) && URL.canParse(text), 'must be an http or https URL')
    .optional()
    .describe('Collector that traces are told to, by OTLP over HTTP; nothing is traced when unset.'),
  OTEL_TRACES_SAMPLER: z
    .enum([
      'always_on',
      'always_off',
      'traceidratio',
      'parentbased_always_on',
      'parentbased_always_off',
      'parentbased_traceidratio',
    ])
    .default('parentbased_always_on')
    .describe('Which requests are traced.'),
  OTEL_TRACES_SAMPLER_ARG: z.coerce.number().min(0).max(1).default(1).describe('The share of them, for a ratio.'),
  RATE_LISTENER: rate(6_000).describe('Requests a minute and listener; 0: no limit.'),
  RATE_ADDRESS: rate(6_000).describe('Requests a minute and address; 0: no limit.'),
  RATE_REGISTER: rate(100).describe('New accounts an hour and address; 0: no limit.'),
  RATE_LOGIN_FAILED: rate(10).describe('Wrong passwords a minute and account, six times that an address; 0: no limit.'),
});

/** The base configuration of a service. */
export type ServiceConfig = z.infer<typeof serviceConfig>;

export const postgresUrl = z
  .string()
  .refine((text) => /^postgres(ql)?:\/\//.test(text) && URL.canParse(text), 'must be a postgres:// URL');
export const feedsUrl = z
  .string()
  .refine((text) => /^tcp:\/\/[^/@?#]+:\d+$/.test(text) && URL.canParse(text), 'must be tcp://host:port')
  .describe('Where rss-proxy answers other services, such as tcp://rss-proxy:4100.');

export const eventStoreUrl = z.string().superRefine((text, { addIssue }) => {
  const flaw = flawOfEventStoreUrl(text);
  if (flaw !== undefined) addIssue({ code: 'custom', message: flaw });
});

/** Read by the services that publish and by the job that compares: both must say the same. */
export const publicMinListeners = z.coerce
  .number()
  .int()
  .min(1)
  .max(1_000)
  .default(2)
  .describe('A podcast that nobody made public is published from this many distinct listeners on.');

/** Stored once by the first that publishes; a job applies another one, also to what was before. */
export const defaultPrivacy = z
  .enum(['public', 'anonymous', 'private'])
  .default('anonymous')
  .describe('What the world sees of listeners who have said nothing.');

/** The environment is not what a service needs: the message names every bad variable, one a line. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    super(`The environment is not usable:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
    this.name = 'ConfigError';
  }
}

/** @throws ConfigError that lists all bad variables at once; values are not repeated, for some are secrets */
export function readConfig<Schema extends z.ZodObject>(
  schema: Schema,
  environment: NodeJS.ProcessEnv,
): z.infer<Schema> {
  const set = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  );
  const result = schema.safeParse(set);
  if (result.success) return result.data;
  throw new ConfigError(
    result.error.issues.map((issue) => {
      const name = String(issue.path[0] ?? '(environment)');
      const missing = !(name in set);
      const hint = schema.shape[name]?.description;
      return `${name}: ${missing ? 'is required' : issue.message}${hint ? ` (${hint})` : ''}`;
    }),
  );
}
