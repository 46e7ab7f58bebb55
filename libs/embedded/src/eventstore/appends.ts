import {
  AppendReq,
  AppendResp,
  BatchAppendReq,
  BatchAppendResp,
  DeleteReq,
  DeleteResp,
  TombstoneReq,
  TombstoneResp,
} from '@eventstore/db-client/generated/streams_pb';
import {
  status,
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  type handleUnaryCall,
  type ServerDuplexStream,
} from '@grpc/grpc-js';
import { appendTooLarge, CallFailure, failureOf } from './failures';
import type { Limits } from './limits';
import {
  appendResponse,
  batchAppendResponse,
  batchResult,
  expectedRevision,
  otherFailure,
  proposedEvent,
  sizeOf,
  streamName,
  tooLarge,
  uuidOf,
} from './messages';
import type { ExpectedRevision, Operation, Outcome, ProposedEvent } from './model';
import { sendTogether } from './together';
import type { Writer } from './writer';

type Correlation = BatchAppendReq['getCorrelationId'] extends () => infer Id ? NonNullable<Id> : never;
type Identifier = ReturnType<BatchAppendReq.Options['getStreamIdentifier']>;

/** An append that arrives in pieces. */
interface Arriving {
  stream: string;
  identifier: Identifier;
  expected: ExpectedRevision;
  deadline: number;
  events: ProposedEvent[];
  bytes: number;
}

/** Appends by themselves: one call each. */
export const append =
  (writer: Writer, limits: Limits): handleClientStreamingCall<AppendReq, AppendResp> =>
  (call, callback) => {
    let target: { stream: string; expected: ExpectedRevision } | undefined;
    const events: ProposedEvent[] = [];
    let bytes = 0;
    let answered = false;
    const answer = (failure: Error | null, response?: AppendResp) => {
      if (answered) return;
      answered = true;
      callback(failure, response);
    };
    call.on('data', (request: AppendReq) => {
      if (answered) return;
      try {
        const options = request.getOptions();
        if (options) {
          target = { stream: streamName(options.getStreamIdentifier()), expected: expectedRevision(options) };
          return;
        }
        const event = proposedEvent(request.getProposedMessage()!);
        bytes += sizeOf(event);
        if (bytes > limits.appendBytes) throw appendTooLarge(limits.appendBytes);
        events.push(event);
      } catch (failure) {
        answer(failure as Error);
      }
    });
    call.on('end', () => {
      if (answered) return;
      if (!target) return answer(new CallFailure(status.INVALID_ARGUMENT, 'an append without options'));
      const { stream, expected } = target;
      const settle = (outcome: Outcome) =>
        outcome.kind === 'written' || outcome.kind === 'conflict'
          ? answer(null, appendResponse(outcome, expected))
          : answer(failureOf(outcome, stream, expected));
      writer.submit({ kind: 'append', stream, expected, events, bytes, deadline: +call.getDeadline(), settle });
    });
  };

/** Many appends over one long connection, each answered with its correlation id, and exactly once. */
export const batchAppend =
  (
    writer: Writer,
    limits: Limits,
    calls: Set<ServerDuplexStream<BatchAppendReq, BatchAppendResp>>,
  ): handleBidiStreamingCall<BatchAppendReq, BatchAppendResp> =>
  (call) => {
    const arriving = new Map<string, Arriving>();
    let unfinishedBytes = 0;
    let unanswered = 0;
    let ended = false;
    calls.add(call);
    sendTogether(call);

    const answer = (
      correlation: Correlation,
      identifier: Identifier,
      result: Parameters<typeof batchAppendResponse>[2],
    ) => {
      if (call.cancelled || call.writableEnded) return;
      call.write(batchAppendResponse(correlation, identifier, result));
      // A client that sends and does not read gets no further.
      if (call.writableLength > limits.unreadAnswers && !call.isPaused()) {
        call.pause();
        call.once('drain', () => call.resume());
      }
    };

    const receive = (request: BatchAppendReq) => {
      const correlation = request.getCorrelationId()!;
      const id = uuidOf(correlation);
      const options = request.getOptions();
      const append: Arriving | undefined = options
        ? {
            stream: streamName(options.getStreamIdentifier()),
            identifier: options.getStreamIdentifier(),
            expected: expectedRevision(options),
            deadline: options.getDeadline()?.toDate().getTime() ?? Infinity,
            events: [],
            bytes: 0,
          }
        : arriving.get(id);
      // The rest of an append that was answered already.
      if (!append) return;

      const before = append.bytes;
      for (const message of request.getProposedMessagesList()) {
        const event = proposedEvent(message);
        append.bytes += sizeOf(event);
        append.events.push(event);
      }
      const forget = () => {
        if (arriving.delete(id)) unfinishedBytes -= before;
      };
      if (append.bytes > limits.appendBytes) {
        forget();
        return answer(correlation, append.identifier, tooLarge(limits.appendBytes));
      }
      if (!request.getIsFinal()) {
        unfinishedBytes += append.bytes - (arriving.has(id) ? before : 0);
        arriving.set(id, append);
        if (unfinishedBytes <= limits.unfinishedBytes) return;
        arriving.delete(id);
        unfinishedBytes -= append.bytes;
        const failure = otherFailure(status.RESOURCE_EXHAUSTED, 'too many bytes of unfinished appends');
        return answer(correlation, append.identifier, failure);
      }
      forget();
      unanswered++;
      const { stream, identifier, expected, deadline, events, bytes } = append;
      const settle = (outcome: Outcome) => {
        answer(correlation, identifier, batchResult(outcome, expected, identifier));
        if (--unanswered === 0 && ended) call.end();
      };
      writer.submit({ kind: 'append', stream, expected, events, bytes, deadline, settle });
    };

    call.on('data', (request: BatchAppendReq) => {
      try {
        receive(request);
      } catch (error) {
        const { code, message } = error as CallFailure;
        const correlation = request.getCorrelationId();
        if (!correlation) return void call.emit('error', error);
        answer(correlation, request.getOptions()?.getStreamIdentifier(), otherFailure(code ?? status.UNKNOWN, message));
      }
    });
    call.on('end', () => {
      ended = true;
      if (unanswered === 0) call.end();
    });
    call.once('close', () => calls.delete(call));
    call.once('cancelled', () => calls.delete(call));
  };

/** Soft deletes: what was written is hidden, and what is written later continues its revisions. */
export const deleteStream =
  (writer: Writer): handleUnaryCall<DeleteReq, DeleteResp> =>
  (call, callback) =>
    remove(writer, 'delete', call.request.getOptions(), +call.getDeadline(), callback, (position) =>
      new DeleteResp().setPosition(new DeleteResp.Position().setCommitPosition(position).setPreparePosition(position)),
    );

/** Deletes for ever: whoever reads or writes the stream afterwards hears that it is deleted. */
export const tombstoneStream =
  (writer: Writer): handleUnaryCall<TombstoneReq, TombstoneResp> =>
  (call, callback) =>
    remove(writer, 'tombstone', call.request.getOptions(), +call.getDeadline(), callback, (position) =>
      new TombstoneResp().setPosition(
        new TombstoneResp.Position().setCommitPosition(position).setPreparePosition(position),
      ),
    );

function remove<Response>(
  writer: Writer,
  kind: Operation['kind'],
  options: DeleteReq.Options | TombstoneReq.Options | undefined,
  deadline: number,
  callback: (failure: Error | null, response?: Response) => void,
  response: (position: string) => Response,
): void {
  try {
    const stream = streamName(options?.getStreamIdentifier());
    const expected = expectedRevision(options!);
    const settle = (outcome: Outcome) =>
      outcome.kind === 'written'
        ? callback(null, response(String(outcome.position)))
        : callback(failureOf(outcome, stream, expected));
    writer.submit({ kind, stream, expected, events: [], bytes: 0, deadline, settle });
  } catch (failure) {
    callback(failure as Error);
  }
}
