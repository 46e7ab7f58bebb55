import { performance } from 'node:perf_hooks';

// Delivery and links share a processor, often with the stores as well: a play's delivery costs several times its redirect.

/** Plays gather for this long before they are delivered, in milliseconds: fewer files are begun, and more plays of a listener fit one append. */
export const GATHER_MS = 250;
/** Between two groups of plays delivery rests as long as the last one took, but at most so many milliseconds. */
export const LONGEST_REST_MS = 50;
/** The event loop is busy from this share of its time on: then delivery stands back. */
export const BUSY_FROM = 0.5;
/** While it stands back, it looks this often whether it must, in milliseconds. */
export const LOOK_EVERY_MS = 100;
/** Plays that have waited for this long are delivered however many links come, in milliseconds. */
export const LONGEST_DELAY_MS = 20_000;
/** From this share of PLAY_JOURNAL_MB on plays are delivered as fast as may be: a journal that is full loses plays. */
export const FILLING_FROM = 0.1;

/** How things are when a group of plays could be delivered. */
export interface Load {
  /** Of the event loop, from 0 to 1, while delivery rested. */
  busy: number;
  /** Of the journal, from 0 to 1. */
  filled: number;
  /** How long the oldest of these plays has waited, in milliseconds. */
  waitedMs: number;
}

/** Whether links come first just now. */
export const standsBack = ({ busy, filled, waitedMs }: Load): boolean =>
  busy >= BUSY_FROM && filled < FILLING_FROM && waitedMs < LONGEST_DELAY_MS;

/** The rest after a group of plays that took `tookMs`, in milliseconds; none while the journal is filling. */
export const restAfter = (tookMs: number, filled: number): number =>
  filled < FILLING_FROM ? Math.min(LONGEST_REST_MS, tookMs) : 0;

/** The rest before a file is taken from those that are written to, in milliseconds. */
export const gatheringAt = (filled: number): number => (filled < FILLING_FROM ? GATHER_MS : 0);

/** Begins to measure; what it returns says how busy the event loop has been since. */
export function measureLoop(): () => number {
  const before = performance.eventLoopUtilization();
  return () => performance.eventLoopUtilization(before).utilization;
}
