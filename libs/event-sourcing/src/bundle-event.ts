import { z } from 'zod';
import { NewEvent, StoredEvent } from './event-store';

/** Type of what holds several events of one decision, in the streams of any category. THIS IS A STORED FORMAT, as the shape below is. */
export const BUNDLE = 'EventsBundled';
export const BUNDLE_VERSION = 1;
/**
 * A bundle holds events of at most this many bytes as JSON, each counted with its metadata: a checkpoint says these of each, and does not part
 * what was bundled.
 */
export const BUNDLE_MAX_BYTES = 128 * 1024;

/** In their order. Their place in the stream and all of their metadata but the version are those of the bundle. */
const bundle = z.object({
  events: z.array(z.object({ type: z.string(), version: z.number().int().positive(), data: z.unknown() })).nonempty(),
});
type BundledEvent = z.infer<typeof bundle>['events'][number];

/**
 * The events of one decision in as few as they can be stored as: to append, to deliver and to read an event costs far more than what it says.
 * @param events encoded with the same metadata
 */
export function bundled(events: readonly NewEvent[]): NewEvent[] {
  if (events.length <= 1) return [...events];
  const bundles: { first: NewEvent; events: BundledEvent[] }[] = [];
  let bytes = Infinity;
  const ofMetadata = Buffer.byteLength(JSON.stringify(events[0]!.metadata));
  for (const event of events) {
    const told = { type: event.type, version: (event.metadata as { version: number }).version, data: event.data };
    const size = Buffer.byteLength(JSON.stringify(told)) + ofMetadata + 1;
    bytes += size;
    if (bytes <= BUNDLE_MAX_BYTES) bundles.at(-1)!.events.push(told);
    else {
      bundles.push({ first: event, events: [told] });
      bytes = size;
    }
  }
  return bundles.map(({ first, events }) =>
    events.length === 1
      ? first
      : { id: first.id, type: BUNDLE, data: { events }, metadata: { ...first.metadata, version: BUNDLE_VERSION } },
  );
}

/** @throws ZodError */
export const readBundle = ({ data }: Pick<StoredEvent, 'data'>): BundledEvent[] => bundle.parse(data).events;

/** The types of all that is stored as one event, in order; that of a bundle which cannot be read is its own. */
export function typesOf({ type, data }: Pick<StoredEvent, 'type' | 'data'>): string[] {
  const events = type === BUNDLE ? (data as { events?: unknown } | null)?.events : undefined;
  if (!Array.isArray(events) || events.length === 0) return [type];
  const types = events.map((event: { type?: unknown } | null) => event?.type);
  return types.every((each) => typeof each === 'string') ? types : [type];
}

/** For people: `PlayRecorded`, or of several that are stored as one `2 × PlayRecorded, PositionUpdated`. */
export function toldBy(stored: Pick<StoredEvent, 'type' | 'data'>): string {
  const counts = new Map<string, number>();
  for (const type of typesOf(stored)) counts.set(type, (counts.get(type) ?? 0) + 1);
  return [...counts].map(([type, count]) => (count > 1 ? `${count} × ${type}` : type)).join(', ');
}
