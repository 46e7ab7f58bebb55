import { Agent, get } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { Spread, spread } from './report';

export interface EvenLoad {
  base: string;
  host: string;
  /** Each once; as many as there are requests. */
  paths: string[];
  /** Requests a second. */
  rate: number;
  connections: number;
}

/**
 * Sends requests evenly, whether or not those before have been answered, and times each from the moment at which it was due: what waits for
 * a connection, or for us, has waited all the same. autocannon sends a second's requests in one burst.
 * @throws Error when one is not redirected
 */
export async function sendEvenly({ base, host, paths, rate, connections }: EvenLoad): Promise<Spread> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const start = performance.now();
  const times: Promise<number>[] = [];
  while (times.length < paths.length) {
    const isDue = Math.min(paths.length, Math.ceil(((performance.now() - start) * rate) / 1_000));
    while (times.length < isDue) {
      const due = start + (times.length * 1_000) / rate;
      times.push(redirected(new URL(paths[times.length]!, base), host, agent).then((at) => at - due));
    }
    await delay(1);
  }
  try {
    return spread(await Promise.all(times));
  } finally {
    agent.destroy();
  }
}

/** When the answer was there. */
const redirected = (url: URL, host: string, agent: Agent): Promise<number> =>
  new Promise((resolve, reject) => {
    const request = get(url, { agent, headers: { host } }, (answer) => {
      if (answer.statusCode !== 302) reject(new Error(`redirects: ${answer.statusCode}`));
      answer.resume().on('end', () => resolve(performance.now()));
    });
    request.on('error', reject);
  });
