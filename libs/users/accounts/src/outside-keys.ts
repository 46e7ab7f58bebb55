import { JwksClient } from 'jwks-rsa';
import { AccountsUnavailable } from './errors';

/** The issuer's keys are asked for again when they are older than this, in milliseconds. */
export const OUTSIDE_KEYS_FRESH_MS = 600_000;
/** Keys older than this are not used, also when the issuer does not answer, in milliseconds. */
export const OUTSIDE_KEYS_STALE_MS = 3_600_000;
/** After a request the next one follows no sooner, in milliseconds, however many unknown keys tokens name. */
export const OUTSIDE_KEYS_PAUSE_MS = 10_000;
/** The issuer must answer within this time, in milliseconds. */
export const OUTSIDE_KEYS_TIMEOUT_MS = 5_000;
/** Largest answer of the issuer, in characters. */
export const OUTSIDE_KEYS_MAX_LENGTH = 262_144;

/** One key, or the only one that there is: its PEM. */
type Keys = ReadonlyMap<string | undefined, string>;

/**
 * The public keys of the outside issuer, kept whole. jwks-rsa's own cache keeps key by key and counts all requests together, so
 * that tokens with invented key ids could use up what a known key needs.
 */
export class OutsideKeys {
  private readonly client: JwksClient;
  private keys: Keys = new Map();
  private fetchedAt = -Infinity;
  private triedAt = -Infinity;
  private failure: Error | undefined;
  private flight: Promise<void> | undefined;

  constructor(jwksUri: string) {
    this.client = new JwksClient({ jwksUri, cache: false, rateLimit: false, fetcher: fetchKeys });
  }

  /** The key of this id in PEM, undefined when the issuer has none; without an id, its only one. @throws AccountsUnavailable */
  async find(kid: string | undefined): Promise<string | undefined> {
    const known = this.usable(kid);
    if (known) {
      // Old ones serve while newer ones are on their way.
      if (performance.now() - this.fetchedAt > OUTSIDE_KEYS_FRESH_MS) void this.refresh();
      return known;
    }
    await this.refresh();
    const found = this.usable(kid);
    if (!found && this.failure) throw new AccountsUnavailable(`the issuer's keys: ${this.failure.message}`);
    return found;
  }

  private usable(kid: string | undefined): string | undefined {
    return performance.now() - this.fetchedAt < OUTSIDE_KEYS_STALE_MS ? this.keys.get(kid) : undefined;
  }

  /** One at a time, and not too often. Never rejects. */
  private refresh(): Promise<void> {
    if (this.flight) return this.flight;
    if (performance.now() - this.triedAt < OUTSIDE_KEYS_PAUSE_MS) return Promise.resolve();
    this.triedAt = performance.now();
    this.flight = this.read().finally(() => (this.flight = undefined));
    return this.flight;
  }

  private async read(): Promise<void> {
    try {
      const found = await this.client.getSigningKeys();
      const keys = new Map<string | undefined, string>(found.map((key) => [key.kid, key.getPublicKey()]));
      if (found.length === 1) keys.set(undefined, found[0]!.getPublicKey());
      this.keys = keys;
      this.fetchedAt = performance.now();
      this.failure = undefined;
    } catch (error) {
      this.failure = error as Error;
    }
  }
}

async function fetchKeys(uri: string): Promise<{ keys: unknown[] }> {
  const signal = AbortSignal.timeout(OUTSIDE_KEYS_TIMEOUT_MS);
  const response = await fetch(uri, { signal, redirect: 'error', headers: { accept: 'application/json' } });
  if (!response.ok) throw new Error(`the issuer answers ${response.status}`);
  let text = '';
  const decoder = new TextDecoder();
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk as Uint8Array, { stream: true });
    if (text.length > OUTSIDE_KEYS_MAX_LENGTH) throw new Error('the issuer answers too much');
  }
  const { keys } = JSON.parse(text) as { keys?: unknown };
  if (!Array.isArray(keys)) throw new Error('the issuer answers no keys');
  return { keys };
}
