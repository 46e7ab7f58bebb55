import {
  AppendReq,
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
  DeleteReq,
  ReadReq,
  ReadResp,
  TombstoneReq,
} from '@eventstore/db-client/generated/streams_pb';
import {
  AllStreamPosition,
  Empty,
  MaximumAppendSizeExceeded,
  StreamDeleted,
  StreamIdentifier,
  Timeout,
  UUID,
  WrongExpectedVersion,
} from '@eventstore/db-client/generated/shared_pb';
import { Status } from '@eventstore/db-client/generated/status_pb';
import { status } from '@grpc/grpc-js';
import type { Message } from 'google-protobuf';
import { Any } from 'google-protobuf/google/protobuf/any_pb';
import { Empty as GoogleEmpty } from 'google-protobuf/google/protobuf/empty_pb';
import { badRequest } from './failures';
import type { Filter } from './filter';
import type { Limits } from './limits';
import { NO_EVENTS, type ExpectedRevision, type Outcome, type ProposedEvent, type RecordedEvent } from './model';
import type { Direction } from './reader';
import type { Sent } from './subscriptions';

const UUID_PATTERN = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** An index of Postgres takes no more than a third of a page. */
const STREAM_NAME_BYTES = 1_024;
/** .NET's ticks, in which `created` is told: 100 nanoseconds. */
const TICKS_PER_MILLISECOND = 10_000n;
const JSON_CONTENT = 'application/json';

// Requests -----------------------------------------------------------------------------------------------------------

export function streamName(identifier: StreamIdentifier | undefined): string {
  const name = Buffer.from(identifier?.getStreamName_asU8() ?? []).toString('utf8');
  if (name === '' || name.includes('\0')) throw badRequest('the stream has no name, or one with a zero byte');
  if (Buffer.byteLength(name) > STREAM_NAME_BYTES)
    throw badRequest(`a stream's name has at most ${STREAM_NAME_BYTES} bytes`);
  return name;
}

export function uuidOf(uuid: UUID | undefined): string {
  let text = uuid?.getString() ?? '';
  if (uuid?.hasStructured()) {
    const bytes = Buffer.alloc(16);
    bytes.writeBigInt64BE(BigInt(uuid.getStructured()!.getMostSignificantBits()), 0);
    bytes.writeBigInt64BE(BigInt(uuid.getStructured()!.getLeastSignificantBits()), 8);
    text = bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
  }
  if (!UUID_PATTERN.test(text)) throw badRequest(`"${text}" is not a UUID`);
  return text.toLowerCase();
}

export function proposedEvent(message: AppendReq.ProposedMessage | BatchAppendReq.ProposedMessage): ProposedEvent {
  const properties = message.getMetadataMap();
  const type = properties.get('type');
  if (type === undefined || type.includes('\0')) throw badRequest('an event has no type, or one with a zero byte');
  return {
    id: uuidOf(message.getId()),
    type,
    isJson: properties.get('content-type') === JSON_CONTENT,
    data: message.getData_asU8(),
    metadata: message.getCustomMetadata_asU8(),
  };
}

/** Bytes of an event as the server counts them against the limit of an append. */
export const sizeOf = ({ data, metadata, type }: ProposedEvent): number =>
  data.length + metadata.length + 2 * type.length;

/** The expected revision of an append, a delete or a tombstone; they all say it alike. */
export function expectedRevision(
  options: AppendReq.Options | DeleteReq.Options | TombstoneReq.Options | BatchAppendReq.Options,
): ExpectedRevision {
  if (options.hasAny()) return 'any';
  if (options.hasStreamExists()) return 'stream_exists';
  if (options.hasNoStream()) return NO_EVENTS;
  return BigInt('getStreamPosition' in options ? options.getStreamPosition() : options.getRevision());
}

export interface ReadRequest {
  /** Undefined for the whole log. */
  stream: string | undefined;
  direction: Direction;
  /** A revision, or a position of the whole log. */
  from: bigint | 'start' | 'end';
  /** Undefined for a subscription. */
  count: number | undefined;
  filter: Filter | undefined;
  structuredIds: boolean;
}

export function readRequest(request: ReadReq, limits: Limits): ReadRequest {
  const options = request.getOptions();
  const [stream, all] = [options?.getStream(), options?.getAll()];
  if (!options || !(stream ?? all)) throw badRequest('a read names neither a stream nor the whole log');
  const where = (stream ?? all)!;
  const from = where.hasStart()
    ? 'start'
    : where.hasEnd()
      ? 'end'
      : BigInt('getRevision' in where ? where.getRevision() : (where.getPosition()?.getCommitPosition() ?? '0'));
  return {
    stream: stream && streamName(stream.getStreamIdentifier()),
    direction: options.getReadDirection() === ReadReq.Options.ReadDirection.BACKWARDS ? 'backwards' : 'forwards',
    from,
    count: options.hasSubscription() ? undefined : Number(options.getCount()),
    filter: all && readFilter(options.getFilter(), limits),
    structuredIds: !options.getUuidOption()?.hasString(),
  };
}

function readFilter(options: ReadReq.Options.FilterOptions | undefined, limits: Limits): Filter | undefined {
  const expression = options?.getStreamIdentifier() ?? options?.getEventType();
  if (!options || !expression) return undefined;
  const window = options.hasMax() ? options.getMax() : limits.filterWindow;
  try {
    return {
      on: options.hasStreamIdentifier() ? 'stream' : 'type',
      prefixes: expression.getPrefixList(),
      regex: expression.getRegex() === '' ? undefined : new RegExp(expression.getRegex(), 'u'),
      checkpointEvery: Math.max(1, window) * Math.max(1, options.getCheckpointintervalmultiplier()),
    };
  } catch (error) {
    throw badRequest((error as Error).message);
  }
}

// Answers ------------------------------------------------------------------------------------------------------------

export function encodeSent(sent: Sent, structuredIds: boolean): Buffer {
  if (typeof sent === 'object' && 'event' in sent) return encodeEvent(sent.event, structuredIds);
  const response = new ReadResp();
  if (sent === 'caught up') response.setCaughtUp(new ReadResp.CaughtUp());
  else if (sent === 'fell behind') response.setFellBehind(new ReadResp.FellBehind());
  else {
    const position = sent.checkpoint.toString();
    response.setCheckpoint(new ReadResp.Checkpoint().setCommitPosition(position).setPreparePosition(position));
  }
  return encode(response);
}

export const encodeConfirmation = (id: string): Buffer =>
  encode(new ReadResp().setConfirmation(new ReadResp.SubscriptionConfirmation().setSubscriptionId(id)));

export const encodeNotFound = (stream: string): Buffer =>
  encode(new ReadResp().setStreamNotFound(new ReadResp.StreamNotFound().setStreamIdentifier(identifierOf(stream))));

/** An event from memory is encoded once for all who read it. */
export function encodeEvent(event: RecordedEvent, structuredIds: boolean): Buffer {
  if (!structuredIds && event.encoded) return event.encoded;
  const position = event.position.toString();
  const recorded = new ReadResp.ReadEvent.RecordedEvent()
    .setId(structuredIds ? structuredUuid(event.id) : new UUID().setString(event.id))
    .setStreamIdentifier(identifierOf(event.stream))
    .setStreamRevision(event.revision.toString())
    .setPreparePosition(position)
    .setCommitPosition(position)
    .setData(event.data)
    .setCustomMetadata(event.metadata);
  recorded
    .getMetadataMap()
    .set('type', event.type)
    .set('content-type', event.isJson ? JSON_CONTENT : 'application/octet-stream')
    .set('created', (BigInt(event.created) * TICKS_PER_MILLISECOND).toString());
  const encoded = encode(
    new ReadResp().setEvent(new ReadResp.ReadEvent().setEvent(recorded).setCommitPosition(position)),
  );
  if (!structuredIds) event.encoded = encoded;
  return encoded;
}

export const identifierOf = (stream: string): StreamIdentifier =>
  new StreamIdentifier().setStreamName(Buffer.from(stream, 'utf8'));

/** An append's answer where each append is a call; what is not an answer of its own is thrown by the caller. */
export function appendResponse(
  outcome: Extract<Outcome, { kind: 'written' | 'conflict' }>,
  expected: ExpectedRevision,
): AppendResp {
  if (outcome.kind === 'written') {
    const success = new AppendResp.Success();
    if (outcome.revision === NO_EVENTS) success.setNoStream(new Empty());
    else success.setCurrentRevision(outcome.revision.toString());
    const position = outcome.position?.toString();
    if (position === undefined) success.setNoPosition(new Empty());
    else success.setPosition(new AppendResp.Position().setCommitPosition(position).setPreparePosition(position));
    return new AppendResp().setSuccess(success);
  }
  const conflict = new AppendResp.WrongExpectedVersion();
  if (outcome.current === NO_EVENTS) conflict.setCurrentNoStream(new Empty());
  else conflict.setCurrentRevision(outcome.current.toString());
  if (expected === 'any') conflict.setExpectedAny(new Empty());
  else if (expected === 'stream_exists') conflict.setExpectedStreamExists(new Empty());
  else if (expected === NO_EVENTS) conflict.setExpectedNoStream(new Empty());
  else conflict.setExpectedRevision(expected.toString());
  return new AppendResp().setWrongExpectedVersion(conflict);
}

/** The answer to one append of many on a connection. */
export function batchAppendResponse(
  correlation: UUID,
  stream: StreamIdentifier | undefined,
  result: BatchAppendResp.Success | Status,
): BatchAppendResp {
  const response = new BatchAppendResp().setCorrelationId(correlation).setStreamIdentifier(stream);
  return result instanceof Status ? response.setError(result) : response.setSuccess(result);
}

export function batchResult(
  outcome: Outcome,
  expected: ExpectedRevision,
  stream: StreamIdentifier | undefined,
): BatchAppendResp.Success | Status {
  switch (outcome.kind) {
    case 'written': {
      const success = new BatchAppendResp.Success();
      if (outcome.revision === NO_EVENTS) success.setNoStream(new GoogleEmpty());
      else success.setCurrentRevision(outcome.revision.toString());
      const position = outcome.position?.toString();
      return position === undefined
        ? success.setNoPosition(new GoogleEmpty())
        : success.setPosition(new AllStreamPosition().setCommitPosition(position).setPreparePosition(position));
    }
    case 'conflict': {
      const conflict = new WrongExpectedVersion();
      if (outcome.current === NO_EVENTS) conflict.setCurrentNoStream(new GoogleEmpty());
      else conflict.setCurrentStreamRevision(outcome.current.toString());
      if (expected === 'any') conflict.setExpectedAny(new GoogleEmpty());
      else if (expected === 'stream_exists') conflict.setExpectedStreamExists(new GoogleEmpty());
      else if (expected === NO_EVENTS) conflict.setExpectedNoStream(new GoogleEmpty());
      else conflict.setExpectedStreamPosition(expected.toString());
      return statusOf(status.FAILED_PRECONDITION, 'wrong expected version', conflict, 'WrongExpectedVersion');
    }
    case 'deleted':
      return statusOf(
        status.FAILED_PRECONDITION,
        'the stream is deleted',
        new StreamDeleted().setStreamIdentifier(stream),
        'StreamDeleted',
      );
    // The client knows no "unavailable" for one append of many. Told a timeout, it knows that the append may have happened.
    case 'timeout':
      return statusOf(status.DEADLINE_EXCEEDED, 'the deadline passed', new Timeout(), 'Timeout');
    case 'unavailable':
      return statusOf(status.UNAVAILABLE, outcome.message, new Timeout(), 'Timeout');
    case 'busy':
      return statusOf(status.RESOURCE_EXHAUSTED, 'too many appends are waiting', new Timeout(), 'Timeout');
  }
}

export const tooLarge = (limit: number): Status =>
  statusOf(
    status.INVALID_ARGUMENT,
    `an append is at most ${limit} bytes`,
    new MaximumAppendSizeExceeded().setMaxappendsize(limit),
    'MaximumAppendSizeExceeded',
  );

/** For what the client has no words for: it shows the message. */
export const otherFailure = (code: status, message: string): Status => {
  const details = new Any();
  details.pack(new GoogleEmpty().serializeBinary(), 'google.protobuf.Empty');
  return new Status()
    .setCode(code as number)
    .setMessage(message)
    .setDetails(details);
};

function statusOf(code: status, message: string, details: Message, name: string): Status {
  const any = new Any();
  any.pack(details.serializeBinary(), `event_store.client.${name}`);
  return new Status()
    .setCode(code as number)
    .setMessage(message)
    .setDetails(any);
}

function structuredUuid(id: string): UUID {
  const bytes = Buffer.from(id.replaceAll('-', ''), 'hex');
  return new UUID().setStructured(
    new UUID.Structured()
      .setMostSignificantBits(bytes.readBigInt64BE(0).toString())
      .setLeastSignificantBits(bytes.readBigInt64BE(8).toString()),
  );
}

const encode = (message: Message): Buffer => {
  const bytes = message.serializeBinary();
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
};
