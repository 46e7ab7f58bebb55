import { availableParallelism, loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { serveBuffer } from './bare-fastify';
import { Ceilings, Figure } from './bench';
import { measureCeilings } from './ceilings';
import { sendEvenly } from './even-load';
import { catchUp } from './figures/catch-up';
import { clusterMix } from './figures/cluster-mix';
import { serviceMemory, standaloneMemory, stateCache } from './figures/memory';
import { positions } from './figures/positions';
import { feedFigures } from './figures/feeds';
import { APPS_CACHE_MB, podcastApps } from './figures/podcast-apps';
import { rebuilding } from './figures/rebuild';
import { redirects } from './figures/redirects';
import { timeStarts } from './figures/start';
import { smallSyncs, unchangedSync } from './figures/syncs';
import { trending } from './figures/trending';
import { visible } from './figures/visible';
import { closeConnections } from './http';
import { runLoad } from './load';
import { allowOrigin, publishFeeds } from './origin';
import { printTable, Row, say } from './report';
import {
  buildApps,
  stopEverything,
  Running,
  startCluster,
  startPostgres,
  startServices,
  startStandalone,
} from './systems';
import { isWorker, withWorker } from './workers';

/**
 * npm run bench [-- --only <figure>] [--full]: measures the system as an operator runs it, each figure beside what the machine gives
 * without us in the same run. A failed request or a wrong answer is an error; a missed goal is only said.
 */
const onStandalone: readonly Figure[] = [positions, unchangedSync, smallSyncs, visible, standaloneMemory];
const onServices = (listeners: number): readonly Figure[] => [
  serviceMemory,
  positions,
  unchangedSync,
  smallSyncs,
  visible,
  catchUp,
  rebuilding,
  trending,
  stateCache(listeners),
];
/** On a system of its own, which may fetch from the origin at this port. */
const onFeeds = (port: number): readonly Figure[] => [...feedFigures(port), redirects];
/** With so many copies of command-api, on a system of its own each. */
const CLUSTERS = [1, 2];
/** Listeners whose states come and go in the cache: half as many again as it holds, or, with `--full`, a small town. */
const CACHE_LISTENERS = 400;
const CACHE_LISTENERS_FULL = 2_000;
const START = 'start';

async function bench({ only, full }: { only?: string; full?: boolean }): Promise<void> {
  const services = onServices(full ? CACHE_LISTENERS_FULL : CACHE_LISTENERS);
  const names = [
    START,
    ...new Set([...services, ...onStandalone, podcastApps, ...onFeeds(0), clusterMix(1)].map(({ name }) => name)),
  ];
  if (only !== undefined && !names.includes(only)) throw new Error(`no figure ${only}; there are ${names.join(', ')}`);
  const isWanted = ({ name }: { name: string }): boolean => only === undefined || name === only;
  const began = performance.now();
  const rows: Row[] = [];
  describeMachine();
  say('Building the apps …');
  buildApps();
  const postgres = await startPostgres();
  try {
    const wanted = [...onStandalone, ...services, podcastApps, clusterMix(1)].filter(isWanted);
    const ceilings = await measureCeilings(new Set(wanted.flatMap(({ ceilings = [] }) => ceilings)));
    if (isWanted({ name: START }) || onStandalone.some(isWanted))
      rows.push(...(await standalone(onStandalone.filter(isWanted), isWanted({ name: START }), ceilings)));
    if (services.some(isWanted)) {
      say('Six processes …');
      rows.push(...(await measureAll(services.filter(isWanted), await startServices(), ceilings)));
    }
    if (isWanted(podcastApps)) {
      say('Six processes, for podcast apps …');
      const system = await startServices({ STATE_CACHE_MB: String(APPS_CACHE_MB) });
      rows.push(...(await measureAll([podcastApps], system, ceilings)));
    }
    if (onFeeds(0).some(isWanted)) {
      say('Six processes, with feeds …');
      const ofFeeds = await withWorker('origin', {}, async (port: number) => {
        const system = await startServices(allowOrigin(port));
        return measureAll(onFeeds(port).filter(isWanted), system, ceilings);
      });
      rows.push(...ofFeeds);
    }
    for (const copies of CLUSTERS.filter(() => isWanted(clusterMix(1)))) {
      say(`Two processes of each service behind nginx, of command-api ${copies} …`);
      const system = await startCluster({ 'command-api': copies });
      rows.push(...(await measureAll([clusterMix(copies)], system, ceilings)));
    }
  } finally {
    await postgres.stop();
  }
  printTable(rows);
  say(`It took ${Math.round((performance.now() - began) / 1_000)} s.`);
}

/** Figures of a machine that has other things to do say little: their ceilings sink as well, but not alike. */
function describeMachine(): void {
  const [cores, load] = [availableParallelism(), loadavg()[0]!];
  say(`Node ${process.version}, ${cores} cores, load ${load.toFixed(1)} before we begin.`);
  if (load > cores / 2) say('Other work is under way: expect low figures.');
}

async function standalone(figures: readonly Figure[], isTimed: boolean, ceilings: Ceilings): Promise<Row[]> {
  say('Standalone …');
  const { system, rows } = isTimed ? await timeStarts() : { system: await startStandalone(), rows: [] };
  rows.forEach(report);
  return [...rows, ...(await measureAll(figures, system, ceilings))];
}

async function measureAll(figures: readonly Figure[], system: Running, ceilings: Ceilings): Promise<Row[]> {
  const rows: Row[] = [];
  try {
    for (const figure of figures) {
      const measured = await figure.measure(system, ceilings);
      measured.forEach(report);
      rows.push(...measured);
    }
    return rows;
  } finally {
    closeConnections();
    await system.stop();
  }
}

const report = ({ what, measured }: Row): void => say(`  ${what}: ${measured}`);

if (!isWorker({ load: runLoad, even: sendEvenly, fastify: serveBuffer, origin: publishFeeds })) {
  const fail = async (error: Error): Promise<void> => {
    process.stderr.write(`bench: ${error.stack}\n`);
    await stopEverything();
    process.exit(1);
  };
  process.once('uncaughtException', (error) => void fail(error));
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => void fail(new Error(signal)));
  const { values } = parseArgs({ options: { only: { type: 'string' }, full: { type: 'boolean' } } });
  bench(values).catch(fail);
}
