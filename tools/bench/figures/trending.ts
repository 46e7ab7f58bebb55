import { Figure } from '../bench';
import { generate } from '../load';
import { loadDetails, percent, perSecond } from '../report';
import { withWorker } from '../workers';

const CONNECTIONS = 32;
const WARM_UP_SECONDS = 2;
const SECONDS = 5;
const GOAL_SHARE = 0.7;
const PATH = '/api/v1/public/trending/podcasts?limit=20';

/** The public list, as every visitor of a site asks for it, beside Fastify alone with as many bytes. */
export const trending: Figure = {
  name: 'trending',
  async measure({ kind, public: base }) {
    const expected = await (await fetch(`${base}${PATH}`)).text();
    const size = Buffer.byteLength(expected);
    const { podcasts } = JSON.parse(expected) as { podcasts: unknown[] };
    const run = async (base: string, path: string, expected: string) => {
      const load = { kind: 'get', base, path, expected, connections: CONNECTIONS } as const;
      await generate({ ...load, seconds: WARM_UP_SECONDS });
      return generate({ ...load, seconds: SECONDS });
    };
    const ceiling = await withWorker('fastify', { size }, (port: number) =>
      run(`http://127.0.0.1:${port}`, '/', 'x'.repeat(size)),
    );
    const measured = await run(base, PATH, expected);
    return [
      {
        what: `trending podcasts (${podcasts.length} of them, ${size.toLocaleString('en')} bytes), ${CONNECTIONS} connections, ${kind}`,
        measured: `${perSecond(measured.perSecond)} (${percent(measured.perSecond / ceiling.perSecond)}; ${loadDetails(measured)})`,
        ceiling: `${perSecond(ceiling.perSecond)} by bare Fastify`,
        goal: `≥ ${percent(GOAL_SHARE)} of it`,
        met: measured.perSecond >= GOAL_SHARE * ceiling.perSecond,
      },
    ];
  },
};
