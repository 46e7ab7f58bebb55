import { Row, Spread } from './report';
import { Running } from './systems';

/** What the machine gives without us, measured in the same run; each only when a figure asks for it. */
export interface Ceilings {
  appendsPerSecond: number;
  /** Each as large as a small sync. */
  smallBatchesPerSecond: number;
  /** Each as large as an upload of a podcast app. */
  uploadsPerSecond: number;
  appendToSubscriber: Spread;
  commit: Spread;
}

/** Listeners and connections of the figures about writing. */
export const CONNECTIONS = 64;
/** Connections of the small syncs, and the new plays of each. */
export const SYNC_CONNECTIONS = 8;
export const SYNC_PLAYS = 30;
/** Writes a second of the figures at an open-loop rate. */
export const WRITES_PER_SECOND = 200;
export const OPEN_LOOP_WRITES = 2_000;

/** One measurement on a running system. @throws Error for a failed request or a wrong answer, never for a slow one */
export interface Figure {
  name: string;
  ceilings?: readonly (keyof Ceilings)[];
  measure(system: Running, ceilings: Ceilings): Promise<Row[]>;
}
