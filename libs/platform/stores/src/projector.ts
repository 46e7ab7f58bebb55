import { StoredEvent } from '@balados/event-sourcing';
import { EntityManager } from 'typeorm';
import { Sql } from './postgres';

/** Turns events into rows. What runs it moves its position in the same transaction, so each event takes effect exactly once. */
export interface Projector {
  /** Names it in `projector_segments`, logs and metrics. */
  name: string;
  /** Schema of its `projector_segments` and `projector_members`. */
  schema: string;
  /** Stream-name prefixes of the events that it takes. */
  prefixes: readonly string[];
  /** Whether an event of these streams concerns it at all (all do, by default); what does not costs no transaction. */
  takes?(event: StoredEvent): boolean;
  /**
   * Applies a batch: events in the log's order, all of one segment (the listeners are hashed over segments). Reaches nothing but
   * this transaction. Whatever it throws, but for passing database errors, stops the segment at the event that caused it.
   */
  project(transaction: EntityManager, events: readonly StoredEvent[]): Promise<void>;
  /**
   * Told every other second of segments of this process that do not stand still: whatever was recorded more than `agoMs` milliseconds
   * ago is applied there. Who needs no such knowledge leaves it out.
   */
  appliedUntil?(sql: Sql, segments: readonly number[], agoMs: number): Promise<void>;
}

/**
 * The tables that a context's projectors need, for its first migration: where each segment stands and who holds it,
 * and which processes are there to hold one.
 */
export const projectorTables = (schema: string): string => `
  CREATE TABLE "${schema}".projector_segments (
    projector text NOT NULL,
    segment integer NOT NULL,
    position bigint,
    store_id text,
    owner text,
    epoch bigint NOT NULL DEFAULT 0,
    leased_until timestamptz,
    failed_event uuid,
    failed_reason text,
    failed_at timestamptz,
    moved_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (projector, segment)
  );
  CREATE TABLE "${schema}".projector_members (
    projector text NOT NULL,
    owner text NOT NULL,
    seen_at timestamptz NOT NULL,
    PRIMARY KEY (projector, owner)
  );`;
