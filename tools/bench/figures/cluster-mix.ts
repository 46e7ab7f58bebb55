import { CONNECTIONS, Figure } from '../bench';
import { createListeners } from '../listeners';
import { generate } from '../load';
import { processorTimes, timePerRequest } from '../processor-time';
import { loadDetails, percent, perSecond, Row, say } from '../report';
import { withWorker } from '../workers';

/** Until the code of each copy is compiled, of which two get half as many requests each. */
const WARM_UP_SECONDS = 20;
const SECONDS = 10;
/** Of each connection. */
const LISTENERS_EACH = 4;
/** About what most answers have. */
const ANSWER_BYTES = 300;

/** What a cluster does all day, through nginx: 80 % positions, 10 % syncs, 10 % reads; beside Fastify alone and the raw client. */
export const clusterMix = (copies: number): Figure => ({
  name: 'cluster-mix',
  ceilings: ['appendsPerSecond'],
  async measure({ listeners: base, database }, { appendsPerSecond }): Promise<Row[]> {
    const load = { base, connections: CONNECTIONS } as const;
    const bare = await withWorker('fastify', { size: ANSWER_BYTES }, (port: number) =>
      generate({
        ...{ kind: 'get', path: '/', expected: 'x'.repeat(ANSWER_BYTES) },
        ...{ base: `http://127.0.0.1:${port}`, connections: CONNECTIONS, seconds: SECONDS / 2 },
      }),
    );
    const listeners = await createListeners(database, base, CONNECTIONS * LISTENERS_EACH);
    await generate({ ...load, kind: 'mix', listeners, seconds: WARM_UP_SECONDS });
    const before = processorTimes();
    const measured = await generate({ ...load, kind: 'mix', listeners, seconds: SECONDS });
    say(`  processor time of a request, all done: ${timePerRequest(before, processorTimes(), measured.requests)} ms`);
    const share = percent(measured.perSecond / appendsPerSecond);
    return [
      {
        what: `80 % positions, 10 % syncs, 10 % reads, ${CONNECTIONS} connections, cluster with ${copies} command-api`,
        measured: `${perSecond(measured.perSecond)} (${share} of the appends; ${loadDetails(measured)})`,
        ceiling: `${perSecond(appendsPerSecond)} single appends by the raw client, ${perSecond(bare.perSecond)} by bare Fastify`,
      },
    ];
  },
});
