import { CONNECTIONS, Figure } from '../bench';
import { createListeners } from '../listeners';
import { generate } from '../load';
import { settled } from '../progress';
import { processorTimes, timePerRequest } from '../processor-time';
import { loadDetails, percent, perSecond, say } from '../report';

const WARM_UP_SECONDS = 12;
const SECONDS = 8;
const GOAL_SHARE = 0.5;

/** Position updates over HTTP, each connection a listener; the acknowledged ones must be in the log. */
export const positions: Figure = {
  name: 'positions',
  ceilings: ['appendsPerSecond'],
  async measure(system, { appendsPerSecond }) {
    const { kind, listeners: base, database } = system;
    const listeners = await createListeners(database, base, CONNECTIONS);
    const load = { kind: 'positions', base, connections: CONNECTIONS, listeners } as const;
    const warmUp = await generate({ ...load, seconds: WARM_UP_SECONDS, round: 0 });
    const before = processorTimes();
    const measured = await generate({ ...load, seconds: SECONDS, round: 1 });
    say(`  processor time of a position: ${timePerRequest(before, processorTimes(), measured.requests)} ms`);

    const acknowledged = warmUp.requests + measured.requests;
    const appended = await settled(system, listeners);
    // Each of the two runs cut off what its connections had under way.
    if (appended < acknowledged || appended > acknowledged + 2 * CONNECTIONS)
      throw new Error(`${acknowledged} positions were acknowledged, and ${appended} are in the log`);
    return [
      {
        what: `position updates, ${CONNECTIONS} connections, ${kind}`,
        measured: `${perSecond(measured.perSecond)} (${percent(measured.perSecond / appendsPerSecond)}; ${loadDetails(measured)})`,
        ceiling: `${perSecond(appendsPerSecond)} single appends by the raw client`,
        goal: `≥ ${percent(GOAL_SHARE)} of it`,
        met: measured.perSecond >= GOAL_SHARE * appendsPerSecond,
      },
    ];
  },
};
