import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase } from '@balados/testing';
import { usersContext } from '@balados/users-schema';
import { spawn } from 'node:child_process';
import { resolve } from 'node:path';

/** Part of every bad value below: what nobody may ever see again. */
const SECRET = 'hunter2';
/** A service says what is wrong within this time, in milliseconds. */
const LIMIT_MS = 30_000;

const badPort = { PORT: `70000${SECRET}`, LOG_LEVEL: `loud-${SECRET}` };
const badStore = { EVENTSTORE_URL: `http://admin:${SECRET}@eventstore.example` };
const badUsers = { USERS_DATABASE_URL: `mysql://balados:${SECRET}@postgres.example/users` };
const badSite = { SITE_DATABASE_URL: `${SECRET}@postgres.example/site` };
const badAccounts = {
  REGISTRATION: `closed-${SECRET}`,
  STATE_CACHE_MB: `${SECRET} MB`,
  ACCESS_TOKEN_TTL: `${SECRET} minutes`,
  REFRESH_TOKEN_TTL: '-1',
  PASSWORD_CONCURRENCY: '0',
  PUBLIC_URL: `https://${SECRET}@sync.example`,
};
const badPublication = { DEFAULT_PRIVACY: `secret-${SECRET}`, PUBLIC_MIN_LISTENERS: '0' };
const badLinks = { LINK_KEYS: SECRET };
const badJournal = { PLAY_JOURNAL_MB: `${SECRET} MB` };
const badPlayUrl = { PLAY_URL: `play.example/${SECRET}` };
const badFeedsUrl = { FEEDS_URL: `http://${SECRET}.example` };
const badFeeds = {
  FEEDS_ALLOW_PRIVATE: `localhost:80,${SECRET}`,
  FEEDS_CACHE: '0',
  FEEDS_CACHE_MB: `${SECRET} MB`,
  REDIS_URL: `http://:${SECRET}@redis.example`,
};
const badTransport = { FEEDS_PORT: `70000${SECRET}` };
const badWindow = { TRENDING_WINDOW: '32' };

const good = {
  EVENTSTORE_URL: 'esdb://127.0.0.1:1?tls=false',
  USERS_DATABASE_URL: 'postgres://127.0.0.1:1/users',
  SITE_DATABASE_URL: 'postgres://127.0.0.1:1/site',
};

interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs an app until it ends; one that goes on is killed, and its code is null. */
function run(app: string, env: Record<string, string>): Promise<Ended> {
  const child = spawn(process.execPath, [resolve(__dirname, `../dist/apps/${app}/main.js`)], {
    env: { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const ended: Ended = { code: null, stdout: '', stderr: '' };
  child.stdout.on('data', (text: Buffer) => (ended.stdout += text.toString()));
  child.stderr.on('data', (text: Buffer) => (ended.stderr += text.toString()));
  const timer = setTimeout(() => child.kill('SIGKILL'), LIMIT_MS);
  return new Promise((settle) => {
    child.on('close', (code) => {
      clearTimeout(timer);
      settle({ ...ended, code });
    });
  });
}

/** Names that the lines of stderr begin with. */
const named = (stderr: string): string[] =>
  [...stderr.matchAll(/^ *([A-Z][A-Z_]+): /gm)].map(([, name]) => name!).sort();

const APPS = [
  ['command-api', { ...badPort, ...badStore, ...badUsers, ...badSite, ...badAccounts }],
  ['projections', { ...badPort, ...badStore, ...badUsers, ...badSite, ...badPublication }],
  ['public-api', { ...badPort, ...badSite }],
  ['jobs', { ...badPort, ...badStore, ...badUsers, ...badSite, ...badWindow, ...badFeedsUrl }],
  ['rss-proxy', { ...badPort, ...badUsers, ...badLinks, ...badPlayUrl, ...badFeeds, ...badTransport }],
  ['play-gateway', { ...badPort, ...badStore, ...badUsers, ...badLinks, ...badJournal, ...badFeedsUrl }],
  [
    'standalone',
    {
      ...badPort,
      ...badStore,
      ...badUsers,
      ...badSite,
      ...badAccounts,
      ...badPublication,
      ...badWindow,
      ...badFeeds,
      ...badLinks,
      ...badJournal,
      ...badPlayUrl,
    },
  ],
] as const;

// Side by side: a start is mostly the loading of modules.
it.concurrent.each(APPS)(
  '%s names every bad variable of its environment, and repeats none of their values',
  async (app, environment: Record<string, string>) => {
    const { code, stdout, stderr } = await run(app, environment);
    expect(named(stderr)).toEqual(Object.keys(environment).sort());
    expect(code).toBe(1);
    expect(stdout + stderr).not.toContain(SECRET);
  },
  LIMIT_MS + 5_000,
);

it(
  'an option that the client of the event store does not know is refused, and the password not told to anybody',
  async () => {
    const EVENTSTORE_URL = `esdb://admin:${SECRET}@127.0.0.1:1?tls=false&colour=red`;
    const { code, stdout, stderr } = await run('projections', { ...good, EVENTSTORE_URL });
    expect([code, named(stderr)]).toEqual([1, ['EVENTSTORE_URL']]);
    expect(stderr).toContain('"colour"');
    expect(stdout + stderr).not.toContain(SECRET);
  },
  LIMIT_MS + 5_000,
);

it.concurrent.each([
  ['command-api', ['EVENTSTORE_URL', 'USERS_DATABASE_URL']],
  ['projections', ['EVENTSTORE_URL', 'SITE_DATABASE_URL', 'USERS_DATABASE_URL']],
  ['public-api', ['SITE_DATABASE_URL']],
  ['jobs', ['EVENTSTORE_URL', 'FEEDS_URL', 'SITE_DATABASE_URL', 'USERS_DATABASE_URL']],
  ['play-gateway', ['EVENTSTORE_URL', 'FEEDS_URL', 'LINK_KEYS', 'USERS_DATABASE_URL']],
])(
  '%s names what is missing, and counts what is empty as missing',
  async (app, required) => {
    const { code, stderr } = await run(app, { [required[0]!]: '' });
    expect(named(stderr)).toEqual(required);
    expect(stderr.match(/is required/g)).toHaveLength(required.length);
    expect(code).toBe(1);
  },
  LIMIT_MS + 5_000,
);

it.concurrent.each(['command-api', 'standalone'])(
  '%s names what an outside issuer lacks, beside what else is bad',
  async (app) => {
    const issuer = { JWT_ISSUER: `https://${SECRET}.example/` };
    const { code, stdout, stderr } = await run(app, { ...good, ...issuer, ACCESS_TOKEN_TTL: '0' });
    expect(named(stderr)).toEqual(['ACCESS_TOKEN_TTL', 'JWKS_URI', 'JWT_AUDIENCE']);
    expect(code).toBe(1);
    expect(stdout + stderr).not.toContain(SECRET);
  },
  LIMIT_MS + 5_000,
);

it(
  'command-api names a signing key that is none, and does not repeat it',
  async () => {
    const database = await createDatabase();
    try {
      const users = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
      await migrate(users, usersContext);
      await users.destroy();
      const key = { JWT_PRIVATE_KEY: `-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----` };
      const { code, stdout, stderr } = await run('command-api', { ...good, USERS_DATABASE_URL: database.url, ...key });
      expect(stdout + stderr).toContain('JWT_PRIVATE_KEY');
      expect(code).toBe(1);
      expect(stdout + stderr).not.toContain(SECRET);
    } finally {
      await database.drop();
    }
  },
  LIMIT_MS + 5_000,
);
