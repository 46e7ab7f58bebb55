import { randomBytes } from 'node:crypto';
import { createRole } from '@balados/platform-stores';
import { PODCASTS_READER, SITE_READER } from '@balados/site-schema';
import { ACCOUNTS_WRITER, FEED_READER, TOKEN_READER, USERS_CLEANER } from '@balados/users-schema';
import { Client } from 'pg';

export const SERVICES = ['projections', 'command-api', 'public-api', 'jobs', 'rss-proxy', 'play-gateway'] as const;

export type ServiceName = (typeof SERVICES)[number];

/** Who owns the tables of a context. */
export const OWNERS = { users: 'balados_users_owner', site: 'balados_site_owner' } as const;

/** The role that each service acts in, in each context. deploy/postgres/logins.sh says the same. */
export const ROLES: Readonly<Record<ServiceName, { users?: string; site?: string }>> = {
  projections: OWNERS,
  'command-api': { users: ACCOUNTS_WRITER, site: PODCASTS_READER },
  'public-api': { site: SITE_READER },
  jobs: { users: USERS_CLEANER, site: OWNERS.site },
  'rss-proxy': { users: FEED_READER },
  'play-gateway': { users: TOKEN_READER },
};

const VARIABLES = { users: 'USERS_DATABASE_URL', site: 'SITE_DATABASE_URL' } as const;

/**
 * What an operator does once: a login for each service. Resolves with their connection URLs as the services' variables. Logins belong to the
 * whole server, where other tests have theirs: `suffix` tells them apart.
 */
export async function createLogins(
  databases: { users: string; site: string },
  suffix = randomBytes(4).toString('hex'),
): Promise<Record<ServiceName, Record<string, string>>> {
  const password = randomBytes(12).toString('hex');
  const loginOf = (service: string): string => `${service.replace('-', '_')}_${suffix}`;
  const [first = databases.users, ...more] = new Set([databases.users, databases.site]);
  await asAdministrator(first, async (client) => {
    for (const role of new Set(Object.values(ROLES).flatMap((roles) => Object.values(roles))))
      await client.query(createRole(role));
    for (const [service, roles] of Object.entries(ROLES))
      await client.query(
        `DROP ROLE IF EXISTS ${loginOf(service)};
         CREATE ROLE ${loginOf(service)} LOGIN NOINHERIT PASSWORD '${password}' IN ROLE ${Object.values(roles).join(', ')}`,
      );
  });
  for (const database of [first, ...more])
    await asAdministrator(database, async (client) => {
      const name = new URL(database).pathname.slice(1);
      await client.query(`GRANT CREATE ON DATABASE "${name}" TO ${Object.values(OWNERS).join(', ')}`);
    });
  const urls = Object.entries(ROLES).map(([service, roles]) => [
    service,
    Object.fromEntries(
      (['users', 'site'] as const)
        .filter((context) => roles[context])
        .map((context) => {
          const url = new URL(databases[context]);
          url.username = loginOf(service);
          url.password = password;
          url.searchParams.set('options', `-c role=${roles[context]}`);
          return [VARIABLES[context], url.href];
        }),
    ),
  ]);
  return Object.fromEntries(urls) as Record<ServiceName, Record<string, string>>;
}

async function asAdministrator(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}
