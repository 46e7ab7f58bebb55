import { z } from 'zod';

/** What a service that logs listeners in, or knows them by their token, reads from the environment. */
export const accountsConfig = z.object({
  JWT_PRIVATE_KEY: z
    .string()
    .optional()
    .describe('RSA key in PEM that signs access tokens; without it one is made and kept in the database.'),
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
});

export type AccountsConfig = z.infer<typeof accountsConfig>;
