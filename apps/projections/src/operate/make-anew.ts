import { giveUpRebuild, rebuild, Rebuilt, Sql } from '@balados/platform-stores';
import { DEFAULT_SITE_POLICY, storeDefaultPrivacy } from '@balados/site-projections';
import { ERASURES_LOCK } from '@balados/users-accounts';
import { openListenerStreams } from '@balados/users-write';
import { CommandFailed, Opened } from './contexts';
import { eraseAgain } from './erase-again';
import type { Surroundings } from './index';
import { showProgress } from './progress-bar';

/** One transaction of a rebuild takes at most this many events. */
export const REBUILD_BATCH_EVENTS = 2_000;
/** Folds of listeners of whom something may have to be erased again. */
const STATE_CACHE_BYTES = 16 * 1_048_576;

/** `mayPublish`: also what the services do not publish now, by a lower PUBLIC_MIN_LISTENERS. */
export async function makeAnew(
  { store, users, site, owner }: Opened,
  { name, mayPublish }: { name: 'users' | 'site'; mayPublish: boolean },
  { stdout, stderr, env }: Surroundings,
): Promise<number> {
  const { rebuildable, live, url, forget } = { users, site }[name];
  if (name === 'site') await checkPolicy(site.live, env, mayPublish);
  const stopping = new AbortController();
  const stop = (): void => stopping.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const progress = showProgress(name, stderr);
  let rebuilt: Rebuilt;
  try {
    rebuilt = await rebuild({
      rebuildable,
      store,
      live,
      url,
      owner,
      batchEvents: REBUILD_BATCH_EVENTS,
      signal: stopping.signal,
      onProgress: progress.show,
      alone: (work) => whileNothingIsErased(users.live, work),
      makeGood: eraseAgain({ users: users.live, streams: openListenerStreams(store, STATE_CACHE_BYTES), forget }),
    });
  } finally {
    progress.stop();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  }
  const did = `${rebuilt.events.toLocaleString('en')} events in ${rebuilt.seconds.toFixed(1)} s`;
  if (rebuilt.how === 'stopped') {
    stdout.write(`${name}: stopped after ${did}; the same command goes on, with --abort it is given up\n`);
    return 1;
  }
  const times =
    rebuilt.switchMs === undefined
      ? ''
      : ` within ${Math.round(rebuilt.switchMs)} ms, of which nobody could read for ${Math.round(rebuilt.unreadableMs!)} ms`;
  stdout.write(`${name}: ${did}; ${rebuilt.how}${times}\n`);
  return 0;
}

export async function giveUp(
  { users, site }: Opened,
  name: 'users' | 'site',
  stdout: NodeJS.WritableStream,
): Promise<number> {
  const { rebuildable, live } = { users, site }[name];
  if (!(await giveUpRebuild(live, rebuildable))) throw new CommandFailed(`no rebuild of ${name} is under way`);
  stdout.write(`${name}: the rebuild is given up\n`);
  return 0;
}

/** No erasure comes to its end meanwhile: what jobs are at is waited for. */
const whileNothingIsErased = (users: Opened['users']['live'], work: () => Promise<void>): Promise<void> =>
  users.transaction(async (transaction) => {
    await transaction.query('SET LOCAL statement_timeout = 0');
    await transaction.query('SET LOCAL idle_in_transaction_session_timeout = 0');
    await transaction.query(`SELECT pg_advisory_xact_lock(${ERASURES_LOCK}::bigint)`);
    await work();
  });

/**
 * A policy that was forgotten on the command line, or is another one there, would publish what the services hide.
 * @throws CommandFailed when the environment does not name it, and the default is not what holds; or when by the one that it names something
 * would be published that is not
 */
async function checkPolicy(
  site: Sql,
  { PUBLIC_MIN_LISTENERS, DEFAULT_PRIVACY }: NodeJS.ProcessEnv,
  mayPublish: boolean,
): Promise<void> {
  const isPublic = '((listeners >= $1 OR explicit > 0) AND NOT blocked)';
  const [{ differing, more }] = await site.query<[{ differing: boolean; more: number }]>(
    `SELECT count(*) FILTER (WHERE published <> ${isPublic}) > 0 AS differing,
       (count(*) FILTER (WHERE NOT published AND ${isPublic}))::int AS more FROM site_private.feeds`,
    [Number(PUBLIC_MIN_LISTENERS || DEFAULT_SITE_POLICY.publicMinListeners)],
  );
  if (!PUBLIC_MIN_LISTENERS && differing)
    throw new CommandFailed(
      'podcasts are published by another rule than the default one: set PUBLIC_MIN_LISTENERS, as for the services',
    );
  if (more > 0 && !mayPublish)
    throw new CommandFailed(
      `with PUBLIC_MIN_LISTENERS=${PUBLIC_MIN_LISTENERS} ${more} podcasts would be published that are not: is it as for the services? ` +
        '--publish has it so all the same',
    );
  // As the service does when it starts first; what is stored already holds.
  await storeDefaultPrivacy(site, (DEFAULT_PRIVACY || 'anonymous') as never);
}
