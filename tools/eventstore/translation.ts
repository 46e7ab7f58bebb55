import { createHash } from 'node:crypto';
import { CHECKPOINT, heldBy, NewEvent, StoredEvent } from '@balados/event-sourcing';

/** What of a stream is to be copied. */
export interface Extent {
  /** What precedes this revision is hidden, or said again by the checkpoint. */
  first: number;
  /** Of the last part of the newest whole checkpoint, which then begins at `first`; undefined where there is none. */
  checkpointed: number | undefined;
}

/**
 * What a log says, for one that begins anew: streams there start at revision 0, whatever was cut here. A checkpoint knows revisions of its
 * own stream, so the newest whole one becomes again the events that it repeats, in the place of all that precedes it; every other event
 * stays as it is, its id included.
 * @param extents of streams of which something is hidden, deleted or said again; null: all of it is
 */
export const translation =
  (extents: ReadonlyMap<string, Extent | null>) =>
  (stored: StoredEvent): NewEvent[] => {
    const { id, stream, revision, type, data, metadata } = stored;
    const extent = extents.get(stream);
    if (extent === null || (extent && revision < extent.first)) return [];
    if (type !== CHECKPOINT) return [{ id, type, data: data as object, metadata: metadata as object }];
    // Of one that was never finished nothing is needed: no event of the stream is gone before it.
    if (extent?.checkpointed === undefined || revision > extent.checkpointed) return [];
    return heldBy(stored).map((held) => ({
      id: idOf(stream, held.revision),
      type: held.type,
      data: held.data as object,
      metadata: held.metadata as object,
    }));
  };

/** Of an event whose own id is not known any more: the same each time. A UUID of version 8 (RFC 9562). */
function idOf(stream: string, revision: number): string {
  const bytes = createHash('sha256').update(`${stream}@${revision}`).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
