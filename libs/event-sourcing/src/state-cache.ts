import { LRUCache } from 'lru-cache';

/** A folded state and the revision that it was folded to. */
export interface Folded<State> {
  state: State;
  revision: number;
}

/** Below this many bytes an entry is counted as this many: keys and bookkeeping cost too. */
const SMALLEST_ENTRY_BYTES = 1_024;

/**
 * Folded states by stream, bounded by the bytes that deciders say their states take; the least recently used goes first.
 * An aid: what is not here is folded from the store.
 */
export class StateCache {
  private readonly entries: LRUCache<string, { folded: Folded<unknown> }>;

  /** How often a state was wanted and was here, or was not. */
  readonly lookups = { hits: 0, misses: 0 };

  constructor(maxBytes: number) {
    this.entries = new LRUCache({
      maxSize: Math.max(maxBytes, SMALLEST_ENTRY_BYTES),
      maxEntrySize: Math.max(maxBytes, SMALLEST_ENTRY_BYTES),
    });
  }

  /** As `get`, for who would use it as it is: counted. */
  find<State>(stream: string): Folded<State> | undefined {
    const found = this.get<State>(stream);
    if (found) this.lookups.hits += 1;
    else this.lookups.misses += 1;
    return found;
  }

  get<State>(stream: string): Folded<State> | undefined {
    return this.entries.get(stream)?.folded as Folded<State> | undefined;
  }

  set<State>(stream: string, folded: Folded<State>, bytes: number): void {
    this.entries.set(stream, { folded }, { size: Math.max(SMALLEST_ENTRY_BYTES, Math.ceil(bytes)) });
  }

  delete(stream: string): void {
    this.entries.delete(stream);
  }

  /** Bytes that the held states count for. */
  get bytes(): number {
    return this.entries.calculatedSize;
  }

  get size(): number {
    return this.entries.size;
  }
}
