import { BUNDLE, EventStore, toldBy } from '@balados/event-sourcing';

export interface Shown {
  stream: string;
  /** The first revision that is shown. */
  from: number;
  /** Whether also what the events say, which is the listener's own. */
  withData: boolean;
}

/** A stream's events in their order, each as one line of JSON. @throws StreamGone, StoreUnavailable */
export async function* show(store: EventStore, { stream, from, withData }: Shown): AsyncGenerator<string> {
  for await (const stored of store.read(stream, from)) {
    const { revision, position, type, data, metadata } = stored;
    const { recordedAt, correlationId, deviceId } = (metadata ?? {}) as Partial<Record<string, unknown>>;
    const tells = type === BUNDLE ? toldBy(stored) : undefined;
    const of = { revision, position: String(position), type, tells, recordedAt, correlationId, deviceId };
    yield JSON.stringify(withData ? { ...of, data } : of);
  }
}
