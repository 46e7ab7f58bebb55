import { etagOf } from './etag';

/** While no new answer can be had, an older one is given for this long, in milliseconds, counted from when it was asked for. */
export const ANSWERS_STALE_MS = 300_000;
/** An answer as it is sent. */
export interface Told {
  type: string;
  /** As text, which leaves in one write together with the headers. */
  body: string;
  bytes: number;
  etag: string;
  /** Names and values in turn. */
  headers: string[];
}

/** What may be told of an answer once it is older than it said itself that it may become. */
export interface Outage {
  reduce: (answer: object) => object;
  /** Said of such an answer. */
  headers: Readonly<Record<string, string>>;
}

/** An answer that was kept; once there is to be less in it, nothing else is left of it. */
export interface Reducible extends Told {
  isReduced?: true;
}

/**
 * An answer as it is given `ageMs` milliseconds after it was asked for, when nobody can say whether it still holds: whole, with its `Age`,
 * for as long as every cache on the way might give it (`max-age`), so that nobody sees anything for longer than without us; then reduced,
 * and kept by nobody. Undefined when it is too old for that as well, or no JSON: of that nothing can be taken out.
 */
export function told(answer: Reducible, ageMs: number, outage: Outage): Told | undefined {
  if (ageMs > ANSWERS_STALE_MS) return undefined;
  const age = Math.ceil(ageMs / 1_000);
  if (!answer.isReduced && age > maxAgeOf(answer)) {
    if (!answer.type.startsWith('application/json')) return undefined;
    Object.assign(answer, reduced(answer, outage));
  }
  return { ...answer, headers: withHeaders(answer.headers, { 'balados-stale': 'true', age: String(age) }) };
}

function reduced(answer: Told, { reduce, headers }: Outage): Reducible {
  const body = JSON.stringify(reduce(JSON.parse(answer.body) as object));
  const etag = etagOf(body);
  const own = { ...headers, etag, 'cache-control': 'public, no-cache' };
  return {
    ...{ type: answer.type, body, bytes: Buffer.byteLength(body), etag, isReduced: true },
    headers: withHeaders(answer.headers, own),
  };
}

/** In seconds. */
function maxAgeOf({ headers }: Told): number {
  const [, seconds] = /max-age=(\d+)/.exec(headers[headers.indexOf('cache-control') + 1] ?? '') ?? [];
  return Number(seconds ?? 0);
}

function withHeaders(headers: readonly string[], added: Readonly<Record<string, string>>): string[] {
  const others = headers.flatMap((name, index) =>
    index % 2 === 0 && !(name in added) ? [name, headers[index + 1]!] : [],
  );
  return [...others, ...Object.entries(added).flat()];
}
