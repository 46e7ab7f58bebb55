import { z } from 'zod';
import { BUNDLE, BUNDLE_VERSION, readBundle } from './bundle-event';
import { CHECKPOINT, heldBy } from './checkpoint-event';
import { DomainEvent, EventMetadata, Recorded } from './decider';
import { NewEvent, StoredEvent } from './event-store';

/** One event, declared once: its schema, its type and its version come from here. */
export interface Declaration {
  /** Of the newest shape. Raise it with every change of shape, and add the step from the version before to `upcasts`. */
  version: number;
  data: z.ZodType<object>;
  /** `upcasts[n]` turns the data of version n into that of version n + 1. */
  upcasts?: Readonly<Record<number, (data: never) => object>>;
}

export type Declarations = Readonly<Record<string, Declaration>>;

/** The union `{type, data}` of what is declared. */
export type EventOf<D extends Declarations> = {
  [Type in keyof D & string]: { readonly type: Type; readonly data: z.infer<D[Type]['data']> };
}[keyof D & string];

const storedMetadata = z.object({
  version: z.number().int().positive(),
  recordedAt: z.string(),
  correlationId: z.string(),
  deviceId: z.string().optional(),
  deviceName: z.string().optional(),
});

/** An event that cannot be read: undeclared, of a later version, or not of its shape. */
export class UnreadableEvent extends Error {
  constructor(
    readonly event: Pick<StoredEvent, 'id' | 'stream' | 'revision' | 'position' | 'type'>,
    reason: string,
    options?: ErrorOptions,
  ) {
    super(`event ${event.id} (${event.type}, ${event.stream} at ${event.revision}) cannot be read: ${reason}`, options);
    this.name = 'UnreadableEvent';
  }
}

function readable<Read>(stored: StoredEvent, read: () => Read): Read {
  try {
    return read();
  } catch (error) {
    if (error instanceof UnreadableEvent) throw error;
    throw new UnreadableEvent(stored, error instanceof Error ? error.message : String(error), { cause: error });
  }
}

const laterThan = (known: number, version: number): Error => new Error(`version ${version} is later than ${known}`);

/** Data of a version in the newest shape. @throws ZodError, or whatever an upcast throws */
function newest({ version: known, data: shape, upcasts }: Declaration, version: number, held: unknown): object {
  if (version > known) throw laterThan(known, version);
  let data = held;
  for (let from = version; from < known; from += 1) data = upcasts![from]!(data as never);
  return shape.parse(data);
}

/** Turns declared events into what the store keeps, and back; old versions are upcast here and nowhere else. */
export function catalogue<const D extends Declarations>(declarations: D) {
  /** `stored`: where it stands, should it be unreadable. */
  const decodeOne = (
    { type, data, metadata: about, revision }: Pick<StoredEvent, 'type' | 'data' | 'metadata' | 'revision'>,
    stored: StoredEvent,
  ): Recorded<EventOf<D>> => {
    const declaration = declarationOf(type, stored);
    return readable(stored, () => {
      const { version, ...metadata } = storedMetadata.parse(about);
      return { type, data: newest(declaration, version, data), metadata, revision } as Recorded<EventOf<D>>;
    });
  };

  const declarationOf = (type: string, stored: StoredEvent): Declaration => {
    const declaration = Object.hasOwn(declarations, type) ? declarations[type] : undefined;
    if (!declaration) throw new UnreadableEvent(stored, 'its type is not declared');
    return declaration;
  };

  /** All of them at the bundle's revision, with its metadata. */
  const decodeBundle = (stored: StoredEvent): Recorded<EventOf<D>>[] =>
    readable(stored, () => {
      const { version, ...metadata } = storedMetadata.parse(stored.metadata);
      if (version > BUNDLE_VERSION) throw laterThan(BUNDLE_VERSION, version);
      const { revision } = stored;
      return readBundle(stored).map(({ type, version, data: held }) => {
        const data = newest(declarationOf(type, stored), version, held);
        return { type, data, metadata, revision } as Recorded<EventOf<D>>;
      });
    });

  return {
    declarations,

    /** @throws ZodError for data that is not of the declared shape: a defect of ours */
    encode(event: EventOf<D>, metadata: EventMetadata, id: string): NewEvent {
      const declaration = declarations[event.type] as Declaration;
      return {
        id,
        type: event.type,
        data: declaration.data.parse(event.data),
        metadata: { version: declaration.version, ...metadata },
      };
    },

    /**
     * What a stored event says: one thing, or, in a bundle, all that was decided at once. A part of a checkpoint says again, in their order,
     * those of the events before it that still say something. Whoever knows a stream up to a revision passes over those that are not later.
     * @throws UnreadableEvent
     */
    decode(stored: StoredEvent): Recorded<EventOf<D>>[] {
      if (stored.type === BUNDLE) return decodeBundle(stored);
      if (stored.type !== CHECKPOINT) return [decodeOne(stored, stored)];
      return readable(stored, () => heldBy(stored).map((held) => decodeOne(held, stored)));
    },
  };
}

/** What `handle` and the projectors need of a catalogue. */
export interface Codec<Event extends DomainEvent> {
  encode(event: Event, metadata: EventMetadata, id: string): NewEvent;
  decode(stored: StoredEvent): Recorded<Event>[];
}
