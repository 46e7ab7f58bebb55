import { Row } from '../report';
import { Running, startStandalone } from '../systems';

const GOAL_MS = 8_000;

/** Standalone from its start until it is ready: on a new data directory, and again on the one that it made then. It keeps running. */
export async function timeStarts(folder: string): Promise<{ system: Running; rows: Row[] }> {
  const rows: Row[] = [];
  const start = async (what: string): Promise<Running> => {
    const started = performance.now();
    const system = await startStandalone(folder);
    const took = performance.now() - started;
    rows.push({
      what: `time to ready of standalone, ${what} data directory`,
      measured: `${(took / 1_000).toFixed(1)} s`,
      goal: `< ${GOAL_MS / 1_000} s`,
      met: took < GOAL_MS,
    });
    return system;
  };
  await (await start('new')).stop();
  return { system: await start('existing'), rows };
}
