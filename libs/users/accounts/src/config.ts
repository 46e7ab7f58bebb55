import { z } from 'zod';

/** What a service that logs listeners in, or knows them by their token, reads from the environment. */
export const accountsConfig = z.object({
  JWT_PRIVATE_KEY: z
    .string()
    .optional()
    .describe(
      'RSA key in PEM that signs access tokens, and others after it that only verify; without it one is made and kept in the database.',
    ),
  JWT_ISSUER_OWN: z.string().default('balados-sync').describe('The issuer that our access tokens name.'),
  ACCESS_TOKEN_TTL: z.coerce
    .number()
    .int()
    .min(1)
    .max(86_400)
    .default(900)
    .describe('Seconds that an access token lasts.'),
  REFRESH_TOKEN_TTL: z.coerce
    .number()
    .int()
    .min(1)
    .max(366 * 86_400)
    .default(90 * 86_400)
    .describe('Seconds that a session lasts after its last refresh.'),
  PASSWORD_CONCURRENCY: z.coerce
    .number()
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe('Passwords hashed at a time, 19 MiB and one core each.'),
  JWKS_URI: z
    .string()
    .refine((text) => /^https?:\/\/[^@]*$/.test(text) && URL.canParse(text), 'must be an https:// or http:// URL')
    .optional()
    .describe('Where an outside issuer publishes its keys.'),
  JWT_ISSUER: z.string().optional().describe('The issuer that its tokens name.'),
  JWT_AUDIENCE: z.string().optional().describe('The audience that they are meant for.'),
});

const OUTSIDE = ['JWKS_URI', 'JWT_ISSUER', 'JWT_AUDIENCE'] as const;

/** Adds what no variable says alone: an outside issuer is described whole or not at all, and it is not us. */
export function withOutsideIssuer<Schema extends z.ZodObject>(schema: Schema): Schema {
  // Checked also when other variables are bad: all are to be named at once.
  const when = () => true;
  const valueOf = (config: object, name: string): unknown => (config as Record<string, unknown>)[name];
  const whole = OUTSIDE.reduce<z.ZodObject>(
    (checked, name) =>
      checked.refine(
        (config) => valueOf(config, name) !== undefined || OUTSIDE.every((each) => valueOf(config, each) === undefined),
        { path: [name], when, message: `is required beside ${OUTSIDE.filter((each) => each !== name).join(' and ')}` },
      ),
    schema,
  );
  return whole.refine(
    (config) => {
      const issuer = valueOf(config, 'JWT_ISSUER');
      return issuer === undefined || issuer !== valueOf(config, 'JWT_ISSUER_OWN');
    },
    { path: ['JWT_ISSUER'], when, message: 'must not be our own, JWT_ISSUER_OWN' },
  ) as unknown as Schema;
}

export type AccountsConfig = z.infer<typeof accountsConfig>;
