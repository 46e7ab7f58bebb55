import { ThrottlerStorage } from '@nestjs/throttler';

/** Most keys (addresses, listeners, accounts) that one limit remembers, some 150 bytes each; beyond, the older half is forgotten. */
export const COUNTERS_MAX = 100_000;

/** How much was counted in the window under way, and in how many milliseconds it ends. */
export interface Count {
  hits: number;
  endsInMs: number;
}

interface Window {
  hits: number;
  endsAt: number;
}

/**
 * Counts per key in windows that begin with a key's first hit. A hit costs a look into a map: the library's own storage keeps the time of
 * every hit and goes through all of them at each. No timers, and nothing is searched for what has ended: windows are entered in the
 * younger of two maps, and when that is half of all the older one is dropped.
 */
export class Counters implements ThrottlerStorage {
  private younger = new Map<string, Window>();
  private older = new Map<string, Window>();

  constructor(
    private readonly windowMs: number,
    private readonly max = COUNTERS_MAX,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  get size(): number {
    return this.younger.size + this.older.size;
  }

  /** What is counted so far, without a hit. */
  peek(key: string): Count {
    const now = this.clock();
    const window = this.find(key, now);
    return window ? { hits: window.hits, endsInMs: window.endsAt - now } : { hits: 0, endsInMs: this.windowMs };
  }

  count(key: string): Count {
    const now = this.clock();
    const window = this.find(key, now) ?? this.begin(key, now);
    window.hits += 1;
    return { hits: window.hits, endsInMs: window.endsAt - now };
  }

  private find(key: string, now: number): Window | undefined {
    const window = this.younger.get(key) ?? this.older.get(key);
    return window && window.endsAt > now ? window : undefined;
  }

  private begin(key: string, now: number): Window {
    if (this.younger.size >= this.max / 2) {
      this.older = this.younger;
      this.younger = new Map();
    }
    const window = { hits: 0, endsAt: now + this.windowMs };
    this.younger.set(key, window);
    return window;
  }

  /** As @nestjs/throttler asks; the length of the window is ours. */
  async increment(key: string, _ttl: number, limit: number) {
    const { hits, endsInMs } = this.count(key);
    const seconds = Math.ceil(endsInMs / 1_000);
    return { totalHits: hits, timeToExpire: seconds, isBlocked: hits > limit, timeToBlockExpire: seconds };
  }
}
