import { z } from 'zod';
import { NewEvent, StoredEvent } from './event-store';

/** Type of the events that a checkpoint is made of, in the streams of any category. THIS IS A STORED FORMAT, as the shape below is. */
export const CHECKPOINT = 'CheckpointTaken';
export const CHECKPOINT_VERSION = 1;

/** An event as a checkpoint repeats it, with its own place in the stream; of its metadata all but the correlation id. */
const heldEvent = z.object({
  type: z.string(),
  version: z.number().int().positive(),
  data: z.unknown(),
  revision: z.number().int().nonnegative(),
  recordedAt: z.string(),
  deviceId: z.string().optional(),
  deviceName: z.string().optional(),
});
export type HeldEvent = z.infer<typeof heldEvent>;

/** Part `nth` (from 0) of `of`; the parts of one checkpoint follow each other without anything between them. */
const checkpointTaken = z.object({
  nth: z.number().int().nonnegative(),
  of: z.number().int().positive(),
  /** Events that the whole checkpoint repeats. */
  total: z.number().int().positive(),
  /** When the first end that it repeats was recorded of which something may be dropped later. */
  endedAt: z.string().optional(),
  events: z.array(heldEvent).nonempty(),
});
export type CheckpointTaken = z.infer<typeof checkpointTaken>;

const metadataOf = z.object({ version: z.literal(CHECKPOINT_VERSION), correlationId: z.string() });

/** @throws ZodError */
export const readPart = (stored: Pick<StoredEvent, 'data'>): CheckpointTaken => checkpointTaken.parse(stored.data);

/** The events that a part of a checkpoint repeats, as they were stored. @throws ZodError */
export function heldBy(stored: StoredEvent): Pick<StoredEvent, 'type' | 'data' | 'metadata' | 'revision'>[] {
  const { correlationId } = metadataOf.parse(stored.metadata);
  return readPart(stored).events.map(({ type, data, revision, ...metadata }) => ({
    type,
    data,
    revision,
    metadata: { correlationId, ...metadata },
  }));
}

/** What a part says of an event that would be stored as `encoded`. */
export function held({ type, data, metadata }: NewEvent, revision: number): HeldEvent {
  const { correlationId: _, ...kept } = metadata as { correlationId: string } & Omit<HeldEvent, 'data'>;
  return { ...kept, type, data, revision };
}

/**
 * Up to which revision whoever has read this event knows its stream. Of a checkpoint that goes on that is what it has repeated so far,
 * for nothing else may be left of what it is about to repeat.
 */
export function revisionAfter(stored: Pick<StoredEvent, 'type' | 'revision' | 'data'>): number {
  if (stored.type !== CHECKPOINT || endsCheckpoint(stored) !== undefined) return stored.revision;
  return readPart(stored).events.at(-1)!.revision;
}

/** The part with which a checkpoint is whole (nothing comes between its parts); undefined for any other event. */
export function endsCheckpoint(stored: Pick<StoredEvent, 'type' | 'data'>): CheckpointTaken | undefined {
  if (stored.type !== CHECKPOINT) return undefined;
  const part = readPart(stored);
  return part.nth === part.of - 1 ? part : undefined;
}
