import { createHash } from 'node:crypto';
import { CHECKPOINT, heldBy, NewEvent, parseStream, StoredEvent } from '@balados/event-sourcing';
import { UsersEvent } from '@balados/users-contracts';

/** What of a stream is to be copied. */
export interface Extent {
  /** What precedes this revision is hidden, or said again by the checkpoint. */
  first: number;
  /** Of the last part of the newest whole checkpoint, which then begins at `first`; undefined where there is none. */
  checkpointed: number | undefined;
}

/** The event that names a revision of its own stream, and the streams in which it is said. */
const DROPPED: UsersEvent['type'] = 'ContentDropped';
const DROPPING = ['subscriptions', 'playlists'];

/**
 * What a log says, for one that begins anew: streams there start at revision 0, whatever was cut here. A checkpoint knows revisions of its
 * own stream, so the newest whole one becomes again the events that it repeats, in the place of all that precedes it. Up to which revision
 * content is dropped is said by the revisions there. Every other event stays as it is, its id included.
 * @param extents of streams of which something is hidden, deleted or said again; null: all of it is
 * @returns what translates the events of one reading from the first on, for it counts them
 */
export function translation(extents: ReadonlyMap<string, Extent | null>): (stored: StoredEvent) => NewEvent[] {
  /** Revisions here of what was translated, in the order of the revisions there. */
  const translated = new Map<string, number[]>();

  /** As it is said there; none where of all that ended up to its revision nothing is left. */
  function told(stream: string, revision: number, event: NewEvent): NewEvent[] {
    if (!DROPPING.includes(parseStream(stream)!.category)) return [event];
    const before = translated.get(stream) ?? [];
    translated.set(stream, before);
    let { data } = event;
    if (event.type === DROPPED) {
      const { upTo } = data as { upTo: number };
      const last = before.findLastIndex((each) => each <= upTo);
      if (last < 0) return [];
      data = { ...data, upTo: last };
    }
    before.push(revision);
    return [{ ...event, data }];
  }

  return (stored) => {
    const { id, stream, revision, type, data, metadata } = stored;
    const extent = extents.get(stream);
    if (extent === null || (extent && revision < extent.first)) return [];
    if (type !== CHECKPOINT)
      return told(stream, revision, { id, type, data: data as object, metadata: metadata as object });
    // Of one that was never finished nothing is needed: no event of the stream is gone before it.
    if (extent?.checkpointed === undefined || revision > extent.checkpointed) return [];
    let [revisionOfLast, nth] = [-1, 0];
    return heldBy(stored).flatMap((held) => {
      nth = held.revision === revisionOfLast ? nth + 1 : 0;
      revisionOfLast = held.revision;
      return told(stream, held.revision, {
        id: idOf(stream, held.revision, nth),
        type: held.type,
        data: held.data as object,
        metadata: held.metadata as object,
      });
    });
  };
}

/** Of an event whose own id is not known any more, the `nth` of its revision: the same each time. A UUID of version 8 (RFC 9562). */
function idOf(stream: string, revision: number, nth: number): string {
  const place = nth === 0 ? `${stream}@${revision}` : `${stream}@${revision}.${nth}`;
  const bytes = createHash('sha256').update(place).digest().subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
