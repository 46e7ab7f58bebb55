import { Metadata, status } from '@grpc/grpc-js';
import { NO_EVENTS, type ExpectedRevision, type Outcome } from './model';

/** A failure of a whole call. The client tells what happened from the metadata, `exception` first. */
export class CallFailure extends Error {
  readonly details: string;
  readonly metadata = new Metadata();

  constructor(
    readonly code: status,
    message: string,
    properties: Record<string, string> = {},
  ) {
    super(message);
    this.details = message;
    // Header values are ASCII; names that are not arrive percent-encoded.
    for (const [name, value] of Object.entries(properties)) this.metadata.set(name, encodeURI(value));
  }
}

export const badRequest = (message: string): CallFailure => new CallFailure(status.INVALID_ARGUMENT, message);

export const unavailable = (message: string): CallFailure => new CallFailure(status.UNAVAILABLE, message);

export const streamDeleted = (stream: string): CallFailure =>
  new CallFailure(status.FAILED_PRECONDITION, `the stream ${stream} is deleted`, {
    exception: 'stream-deleted',
    'stream-name': stream,
  });

export const appendTooLarge = (limit: number): CallFailure =>
  new CallFailure(status.INVALID_ARGUMENT, `an append is at most ${limit} bytes`, {
    exception: 'maximum-append-size-exceeded',
    'maximum-append-size': String(limit),
  });

/** What to throw where an outcome is not an answer of its own. */
export function failureOf(
  outcome: Exclude<Outcome, { kind: 'written' }>,
  stream: string,
  expected: ExpectedRevision,
): CallFailure {
  switch (outcome.kind) {
    case 'conflict':
      return new CallFailure(status.FAILED_PRECONDITION, `the stream ${stream} is at another revision`, {
        exception: 'wrong-expected-version',
        'stream-name': stream,
        'expected-version': String(expected === 'any' ? -2 : expected === 'stream_exists' ? -4 : expected),
        ...(outcome.current === NO_EVENTS ? {} : { 'actual-version': String(outcome.current) }),
      });
    case 'deleted':
      return streamDeleted(stream);
    case 'timeout':
      return new CallFailure(status.DEADLINE_EXCEEDED, 'the deadline passed');
    case 'unavailable':
      return unavailable(outcome.message);
    case 'busy':
      return new CallFailure(status.RESOURCE_EXHAUSTED, 'too many appends are waiting');
  }
}
