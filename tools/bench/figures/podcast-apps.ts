import {
  APP_ACTIONS,
  APP_SUBSCRIPTIONS,
  App,
  Asking,
  createApps,
  EVENTS_OF_UPLOAD,
  histories,
  LAST_LISTEN,
  UPLOADED,
  written,
} from '../apps';
import { Figure, SYNC_CONNECTIONS } from '../bench';
import { createListeners, Listener } from '../listeners';
import { generate } from '../load';
import { processorTimes, timePerRequest } from '../processor-time';
import { projected, settled } from '../progress';
import { connect, disconnect, fill } from '../raw-client';
import { loadDetails, megabytes, percent, perSecond, Row, say } from '../report';
import { Running } from '../systems';
import { withWorker } from '../workers';
import { gauge } from './memory';

const LISTENERS = 50;
const CONNECTIONS = [1, SYNC_CONNECTIONS, 32];
const WARM_UP_SECONDS = 3;
const SECONDS = 4;
const DAY_MS = 86_400_000;
/** STATE_CACHE_MB here: in seconds they upload what takes listeners months. */
export const APPS_CACHE_MB = 256;

const FIGURES = [
  { asks: 'subscriptions', what: `lists of ${APP_SUBSCRIPTIONS} subscriptions`, goal: 1_000 },
  {
    asks: 'actions',
    what: `${UPLOADED} actions since, of ${(APP_ACTIONS + UPLOADED).toLocaleString('en')}`,
    goal: 1_000,
  },
  { asks: 'upload', what: `uploads of ${UPLOADED} actions`, goal: 300 },
] as const;

/**
 * Apps of 50 listeners, of 50 subscriptions and 2,000 actions each, by gPodder's protocol with name and password at each request. What was uploaded
 * must be in the log.
 */
export const podcastApps: Figure = {
  name: 'podcast-apps',
  ceilings: ['uploadsPerSecond'],
  async measure(system, { uploadsPerSecond }): Promise<Row[]> {
    const { kind, listeners: base, database, processes } = system;
    const listeners = await createListeners(database, base, LISTENERS);
    const apps = await createApps(base, listeners);
    const before = await fillFor(system, listeners);
    const since = Math.floor(Date.now() / 1_000);
    for (const app of apps) await ask(base, app, { asks: 'upload', since });

    const rows: Row[] = [
      {
        what: `folded states of ${LISTENERS} such listeners, ${kind}`,
        measured: megabytes(await gauge(processes['command-api']!.url, 'state_cache_bytes')),
        ceiling: '64 MB: STATE_CACHE_MB unless set',
      },
    ];
    let acknowledged = LISTENERS;
    let cutOff = 0;
    for (const { asks, what, goal } of FIGURES)
      for (const connections of CONNECTIONS) {
        const load = { kind: 'apps', asks, since, apps, base, connections } as const;
        const warmUp = await generate({ ...load, seconds: WARM_UP_SECONDS });
        const times = processorTimes();
        const measured = await generate({ ...load, seconds: SECONDS });
        say(`  processor time of each: ${timePerRequest(times, processorTimes(), measured.requests)} ms`);
        if (asks === 'upload') {
          acknowledged += warmUp.requests + measured.requests;
          cutOff += 2 * connections;
        }
        const size = asks === 'upload' ? 0 : (await ask(base, apps[0]!, { asks, since })).byteLength;
        const ceiling = asks === 'upload' ? uploadsPerSecond : await bareFastify(size, connections);
        const by =
          asks === 'upload'
            ? `appends of ${EVENTS_OF_UPLOAD} events as one by the raw client, ${SYNC_CONNECTIONS} at once`
            : `by bare Fastify with ${size.toLocaleString('en')} bytes`;
        rows.push({
          what: `${what}, ${connections} connection${connections > 1 ? 's' : ''}, ${kind}`,
          measured: `${perSecond(measured.perSecond)} (${percent(measured.perSecond / ceiling)}; ${loadDetails(measured)}; ${measured.requests} sent, none failed)`,
          ceiling: `${perSecond(ceiling)} ${by}`,
          // One who waits for each answer says how long it takes, and not how many could be given.
          ...(connections > 1 && { goal: `≥ ${perSecond(goal)}`, met: measured.perSecond >= goal }),
        });
      }
    const appended = (await settled(system, listeners)) - before;
    // What an upload says is stored as one.
    if (appended < acknowledged || appended > acknowledged + cutOff)
      throw new Error(`${acknowledged} uploads were acknowledged, and ${appended} are in the log`);
    return rows;
  },
};

/** Yesterday's doings, in the read models as well. @returns how many events of listening that are */
async function fillFor(system: Running, listeners: readonly Listener[]): Promise<number> {
  const store = connect(system.eventStore);
  try {
    say(`  ${await fill(store, histories(listeners, new Date(Date.now() - DAY_MS).toISOString()))} events appended`);
  } finally {
    await disconnect(store);
  }
  const marks = listeners.map(({ userId }) => ({ userId, category: 'listening', revision: LAST_LISTEN }));
  await projected(system.database, 'site_private', marks);
  return settled(system, listeners);
}

async function ask(base: string, app: App, asking: Asking): Promise<ArrayBuffer> {
  const { path, ...request } = written(app, asking);
  const answer = await fetch(`${base}${path}`, request);
  if (!answer.ok) throw new Error(`${asking.asks}: ${answer.status} ${await answer.text()}`);
  return answer.arrayBuffer();
}

const bareFastify = (size: number, connections: number): Promise<number> =>
  withWorker('fastify', { size }, async (port: number) => {
    const load = { kind: 'get', path: '/', expected: 'x'.repeat(size), connections } as const;
    const bare = { ...load, base: `http://127.0.0.1:${port}` };
    await generate({ ...bare, seconds: WARM_UP_SECONDS });
    return (await generate({ ...bare, seconds: SECONDS })).perSecond;
  });
