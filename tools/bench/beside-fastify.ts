import { generate, Generated } from './load';
import { processorTimes, timePerRequest } from './processor-time';
import { loadDetails, percent, perSecond, Row, say } from './report';
import { withWorker } from './workers';

const SECONDS = 5;

/** An answer that is asked for again and again, beside Fastify alone with as many bytes in the same run. */
export async function besideFastify(
  what: string,
  { base, path, expected }: { base: string; path: string; expected: string },
  { connections, warmUpSeconds, goalShare }: { connections: number; warmUpSeconds: number; goalShare: number },
): Promise<Row> {
  const run = async (base: string, path: string, expected: string): Promise<Generated> => {
    const load = { kind: 'get', base, path, expected, connections } as const;
    await generate({ ...load, seconds: warmUpSeconds });
    const before = processorTimes();
    const measured = await generate({ ...load, seconds: SECONDS });
    say(`  processor time of an answer: ${timePerRequest(before, processorTimes(), measured.requests)} ms`);
    return measured;
  };
  const size = Buffer.byteLength(expected);
  const ceiling = await withWorker('fastify', { size }, (port: number) =>
    run(`http://127.0.0.1:${port}`, '/', 'x'.repeat(size)),
  );
  const measured = await run(base, path, expected);
  return {
    what: `${what}, ${size.toLocaleString('en')} bytes, ${connections} connections`,
    measured: `${perSecond(measured.perSecond)} (${percent(measured.perSecond / ceiling.perSecond)}; ${loadDetails(measured)})`,
    ceiling: `${perSecond(ceiling.perSecond)} by bare Fastify`,
    goal: `≥ ${percent(goalShare)} of it`,
    met: measured.perSecond >= goalShare * ceiling.perSecond,
  };
}
