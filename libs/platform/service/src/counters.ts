import { ThrottlerStorage } from '@nestjs/throttler';

/** Most keys (addresses, listeners, accounts) that one limit counts at a time, some 150 bytes each; beyond, the oldest window is forgotten. */
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
 * Counts per key in windows that begin with a key's first hit. A hit costs one look into a map: the library's own storage keeps the time
 * of every hit and goes through all of them at each. Without timers; what has ended goes when a new key comes.
 */
export class Counters implements ThrottlerStorage {
  /** Ordered by their ends, since all are equally long and each is entered when it begins. */
  private readonly windows = new Map<string, Window>();

  constructor(
    private readonly windowMs: number,
    private readonly max = COUNTERS_MAX,
    private readonly clock: () => number = () => performance.now(),
  ) {}

  get size(): number {
    return this.windows.size;
  }

  /** What is counted so far, without a hit. */
  peek(key: string): Count {
    const window = this.windows.get(key);
    const endsInMs = window ? window.endsAt - this.clock() : 0;
    return window && endsInMs > 0 ? { hits: window.hits, endsInMs } : { hits: 0, endsInMs: this.windowMs };
  }

  count(key: string): Count {
    const now = this.clock();
    const window = this.windows.get(key);
    if (window && window.endsAt > now) {
      window.hits += 1;
      return { hits: window.hits, endsInMs: window.endsAt - now };
    }
    this.windows.delete(key);
    this.makeRoom(now);
    this.windows.set(key, { hits: 1, endsAt: now + this.windowMs });
    return { hits: 1, endsInMs: this.windowMs };
  }

  private makeRoom(now: number): void {
    for (const [key, { endsAt }] of this.windows) {
      if (endsAt > now && this.windows.size < this.max) return;
      this.windows.delete(key);
    }
  }

  /** As @nestjs/throttler asks; the length of the window is ours. */
  async increment(key: string, _ttl: number, limit: number) {
    const { hits, endsInMs } = this.count(key);
    const seconds = Math.ceil(endsInMs / 1_000);
    return { totalHits: hits, timeToExpire: seconds, isBlocked: hits > limit, timeToBlockExpire: seconds };
  }
}
