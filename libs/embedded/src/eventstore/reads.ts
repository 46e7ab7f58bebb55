import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import type { ReadReq, ReadResp } from '@eventstore/db-client/generated/streams_pb';
import type { handleServerStreamingCall, ServerWritableStream } from '@grpc/grpc-js';
import { CallFailure, streamDeleted, unavailable } from './failures';
import { encodeConfirmation, encodeEvent, encodeNotFound, encodeSent, readRequest, type ReadRequest } from './messages';
import { NO_EVENTS, TOMBSTONE, type Log } from './model';
import { isMissing, visibleFrom, visibleSince, type Head } from './streams';
import { sendTogether } from './together';
import { subscribeToAll, subscribeToStream, type Sources } from './subscriptions';

/** Before the first position of the log, and beyond the last one that there can be. */
const BEGINNING = -1n;
const BEYOND = 2n ** 63n - 1n;

/**
 * Reads and subscriptions. Messages are encoded before they are handed to the call, whose serialiser lets buffers pass.
 * `stopping` ends what is under way.
 */
export const read =
  (sources: Sources, log: Log, stopping: AbortSignal): handleServerStreamingCall<ReadReq, ReadResp> =>
  (call) => {
    const gone = new AbortController();
    const leave = () => gone.abort();
    call.once('cancelled', leave);
    call.once('close', leave);
    stopping.addEventListener('abort', leave);
    answer(call, sources, gone.signal)
      .then(() => {
        if (stopping.aborted && !call.cancelled) throw unavailable('the event store is stopping');
        call.end();
      })
      .catch((error: Error) => {
        if (call.cancelled) return;
        if (error instanceof CallFailure) return call.emit('error', error);
        log('error', 'a read failed', { error: error.message });
        return call.emit('error', unavailable(`the read failed: ${error.message}`));
      })
      .finally(() => stopping.removeEventListener('abort', leave));
  };

async function answer(
  call: ServerWritableStream<ReadReq, ReadResp>,
  sources: Sources,
  gone: AbortSignal,
): Promise<void> {
  const { unsentMessages, unsentBytes } = sources.limits;
  const request = readRequest(call.request, sources.limits);
  sendTogether(call);
  let bytes = 0;
  for await (const page of request.count === undefined
    ? subscription(request, sources, gone)
    : events(request, sources)) {
    for (const message of page) {
      if (gone.aborted) return;
      // The serialiser of this call takes buffers; its type knows only messages.
      const room = call.write(message as unknown as ReadResp);
      bytes += message.length;
      if (room || (call.writableLength < unsentMessages && bytes < unsentBytes)) continue;
      await drained(call, gone);
      bytes = 0;
    }
  }
}

async function* events(
  { stream, direction, from, count = 0, filter, structuredIds }: ReadRequest,
  { reader, heads, tail }: Sources,
): AsyncGenerator<Buffer[]> {
  const forwards = direction === 'forwards';
  if (stream === undefined) {
    const position =
      from === 'start' ? BEGINNING : from === 'end' || from > BEYOND ? BEYOND : forwards ? from - 1n : from;
    const unreported = filter && { ...filter, checkpointEvery: 0 };
    for await (const page of reader.all(direction, position, forwards ? tail.last : BEGINNING, count, unreported))
      yield page.flatMap((found) => ('event' in found ? [encodeEvent(found.event, structuredIds)] : []));
    return;
  }
  const head = await heads.read(stream, reader.pool);
  if (head.revision === TOMBSTONE) throw streamDeleted(stream);
  if (isMissing(head)) return yield [encodeNotFound(stream)];
  const revision = from === 'start' ? 0n : from === 'end' ? (forwards ? head.revision + 1n : head.revision) : from;
  // Every command and every own read asks what is new, or what is last: mostly it is known here.
  if (forwards && revision > head.revision) return;
  const lastOnly = forwards ? revision === head.revision : count === 1 && revision >= head.revision;
  if (lastOnly && count > 0) {
    const { last } = head;
    if (last && last.created >= visibleSince(head) && last.revision >= visibleFrom(stream, head))
      return yield [encodeEvent(last, structuredIds)];
  }
  for await (const page of reader.stream(stream, head, direction, revision, count)) {
    if (page[0]!.revision === head.revision && !forwards) heads.remember(stream, head, page[0]!);
    yield page.map((event) => encodeEvent(event, structuredIds));
  }
}

async function* subscription(
  { stream, from, filter, structuredIds }: ReadRequest,
  sources: Sources,
  gone: AbortSignal,
) {
  const { reader, heads, tail } = sources;
  let sent;
  if (stream === undefined) {
    sent = subscribeToAll(sources, from === 'start' ? BEGINNING : from === 'end' ? tail.last : from, gone, filter);
  } else {
    const head: Head = await heads.read(stream, reader.pool);
    if (head.revision === TOMBSTONE) throw streamDeleted(stream);
    sent = subscribeToStream(
      sources,
      stream,
      from === 'start' ? NO_EVENTS : from === 'end' ? head.revision : from,
      gone,
    );
  }
  yield [encodeConfirmation(randomUUID())];
  for await (const page of sent) yield page.map((item) => encodeSent(item, structuredIds));
}

/** Waits until the client has taken what was written, or is gone. */
async function drained(call: ServerWritableStream<ReadReq, ReadResp>, gone: AbortSignal): Promise<void> {
  await once(call, 'drain', { signal: gone }).catch(() => undefined);
}
