import type { Heads } from './heads';
import { everything, matches, type Filter } from './filter';
import type { Limits } from './limits';
import { TOMBSTONE, type RecordedEvent } from './model';
import type { Found, Reader } from './reader';
import type { Head } from './streams';
import type { Tail } from './tail';

/** What a subscription sends: events and checkpoints, and when it goes over from the stored to the new ones and back. */
export type Sent = Found | 'caught up' | 'fell behind';

export interface Sources {
  reader: Reader;
  tail: Tail;
  heads: Heads;
  limits: Limits;
}

/** Every event after a position, first from Postgres and then as it happens, until the signal aborts. */
export async function* subscribeToAll(
  { reader, tail, limits }: Sources,
  from: bigint,
  signal: AbortSignal,
  filter: Filter = everything,
): AsyncGenerator<Sent[]> {
  const every = filter.checkpointEvery;
  let position = from;
  let reported = from;
  let looked = 0;
  let live = false;
  while (!signal.aborted) {
    const fresh = tail.after(position, limits.pageEvents);
    if (fresh === undefined) {
      if (live) yield ['fell behind'];
      live = false;
      const until = tail.last;
      for await (const page of reader.all('forwards', position, until, Infinity, filter)) {
        yield page;
        const last = page.at(-1)!;
        reported = 'event' in last ? last.event.position : last.checkpoint;
        if (signal.aborted) return;
      }
      position = until;
    } else if (fresh.length > 0) {
      const page: Sent[] = [];
      for (const event of fresh) {
        ({ position } = event);
        looked++;
        if (matches(filter, event)) page.push({ event });
        if (every > 0 && looked >= every) page.push({ checkpoint: (reported = position) });
        if (reported === position) looked = 0;
      }
      if (page.length > 0) yield page;
    } else {
      if (!live) {
        yield every > 0 && position > reported ? [{ checkpoint: position }, 'caught up'] : ['caught up'];
        live = true;
        looked = 0;
      }
      await tail.changed(signal);
    }
  }
}

/** Every visible event of a stream after a revision, first from Postgres and then as it happens. */
export async function* subscribeToStream(
  { reader, tail, heads, limits }: Sources,
  stream: string,
  from: bigint,
  signal: AbortSignal,
): AsyncGenerator<Sent[]> {
  let revision = from;
  /** All events of the stream up to this position have been sent. */
  let position = -1n;
  let live = false;
  while (!signal.aborted) {
    const fresh = tail.after(position, limits.pageEvents);
    if (fresh === undefined) {
      if (live) yield ['fell behind'];
      live = false;
      const until = tail.last;
      const head: Head = await heads.read(stream, reader.pool);
      for await (const page of reader.stream(stream, head, 'forwards', revision + 1n, Infinity)) {
        yield page.map((event) => ({ event }));
        ({ revision } = page.at(-1)!);
        if (signal.aborted) return;
      }
      position = until;
    } else if (fresh.length > 0) {
      const page: RecordedEvent[] = fresh.filter((event) => event.stream === stream && event.revision > revision);
      ({ position } = fresh.at(-1)!);
      revision = page.at(-1)?.revision ?? revision;
      if (page.length > 0) yield page.map((event) => ({ event }));
      if (revision === TOMBSTONE) return;
    } else {
      if (!live) yield ['caught up'];
      live = true;
      await tail.changed(signal);
    }
  }
}
