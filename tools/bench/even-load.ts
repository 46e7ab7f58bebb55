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
 * Calls `send` evenly, `rate` times a second, for as long as `goesOn`, whether or not what it began before has ended: with its number, and the
 * moment at which it was due, which is never later than the call.
 */
export async function evenly(
  rate: number,
  goesOn: (sent: number) => boolean,
  send: (nth: number, due: number) => void,
): Promise<void> {
  const start = performance.now();
  for (let sent = 0; goesOn(sent); await delay(1)) {
    const isDue = Math.ceil(((performance.now() - start) * rate) / 1_000);
    for (; sent < isDue && goesOn(sent); sent += 1) send(sent, start + (sent * 1_000) / rate);
  }
}

/**
 * Sends requests evenly and times each from the moment at which it was due: what waits for a connection, or for us, has waited all the same.
 * autocannon sends a second's requests in one burst.
 * @throws Error when one is not redirected
 */
export async function sendEvenly({ base, host, paths, rate, connections }: EvenLoad): Promise<Spread> {
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const times: Promise<number>[] = [];
  await evenly(
    rate,
    (sent) => sent < paths.length,
    (nth, due) => times.push(redirected(new URL(paths[nth]!, base), host, agent).then((at) => at - due)),
  );
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
