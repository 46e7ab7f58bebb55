import { Agent, request } from 'node:http';
import { evenly } from '../bench/even-load';
import { Mix, MixKind, MixRequest } from '../bench/mix';

const CONNECTIONS = 64;
/** A request without an answer is given up after this, in milliseconds. */
const ANSWER_LIMIT_MS = 30_000;
/** More seconds of requests under way than these: it does not keep up at all. */
const SECONDS_BEHIND = 20;

/** An answer: when it was due, in milliseconds from the beginning, and how long after that it was there. */
export interface Taken {
  kind: MixKind;
  due: number;
  ms: number;
}

export interface SteadyLoad {
  taken: Taken[];
  /** What went wrong: when, in milliseconds from the beginning, and with which. */
  errors: { due: number; what: string }[];
}

/**
 * Sends the mix evenly, through the front door, into `into`; each request is timed from the moment at which it was due. A failed one is noted and
 * is not sent again.
 * @throws Error when far more are under way than are answered
 */
export async function sendSteadily(
  into: SteadyLoad,
  { base, mix, rate, forMs }: { base: string; mix: Mix; rate: number; forMs: number },
): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });
  const start = performance.now();
  const underWay = new Set<Promise<void>>();
  const goesOn = (): boolean => {
    if (underWay.size > rate * SECONDS_BEHIND) throw new Error(`${underWay.size} requests are under way`);
    return performance.now() - start < forMs;
  };
  try {
    await evenly(rate, goesOn, (_, at) => {
      const next = mix.next();
      const due = at - start;
      const done = answerOf(base, next, agent)
        .then(
          (wrong) => {
            into.taken.push({ kind: next.kind, due, ms: performance.now() - at });
            if (wrong) into.errors.push({ due, what: `${next.kind}: ${wrong}` });
          },
          (error: Error) => void into.errors.push({ due, what: `${next.kind}: ${error.message}` }),
        )
        .then(() => void underWay.delete(done));
      underWay.add(done);
    });
    await Promise.all(underWay);
  } finally {
    agent.destroy();
  }
}

const answerOf = (base: string, { method, path, headers, body, answered }: MixRequest, agent: Agent) =>
  new Promise<string | undefined>((resolve, reject) => {
    const length = body === undefined ? {} : { 'content-length': Buffer.byteLength(body) };
    const options = { method, agent, headers: { ...headers, ...length }, timeout: ANSWER_LIMIT_MS };
    const sent = request(`${base}${path}`, options, (answer) => {
      const chunks: Buffer[] = [];
      answer.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', reject);
      answer.on('end', () => resolve(answered(answer.statusCode!, Buffer.concat(chunks).toString())));
    });
    sent.on('timeout', () => sent.destroy(new Error('no answer')));
    sent.on('error', reject).end(body);
  });
