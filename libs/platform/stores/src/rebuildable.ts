import { EntityManager } from 'typeorm';
import { Projector } from './projector';
import { TableName } from './shadow';

/** A projector, and what it takes to make its tables anew beside those that are read. */
export interface Rebuildable {
  projector: Projector;
  /** Where its SQL looks for tables. */
  searchPath: readonly string[];
  /** All that it makes from events. */
  tables: readonly TableName[];
  /** Indexes that only those need who read the tables: made at the end, at less cost. */
  readersIndexes: readonly string[];
  /** What it reads and others write: taken as it stands at the beginning. */
  copied: readonly TableName[];
  /**
   * Brings over what others than the projector have written meanwhile. The tables that are being made go by their bare names, those that
   * are read by their full ones. In the switch-over (`isSwitching`) nobody else writes, and it must be done in no time. @throws NotYet
   */
  bringOver?(database: EntityManager, isSwitching: boolean): Promise<void>;
}

/** The last steps cannot be done at this moment; they are tried again. */
export class NotYet extends Error {
  override name = 'NotYet';
}

/** It cannot go on: somebody must do something. */
export class RebuildStopped extends Error {
  override name = 'RebuildStopped';
}
