export type NotAFeedCode =
  | 'malformed'
  | 'other_document'
  | 'internal_subset'
  | 'too_deep'
  | 'too_many_attributes'
  | 'too_many_items'
  | 'too_many_escapes';

/** The parser names what it does not like: of a longer message the beginning is enough, in characters. */
const MESSAGE_MAX_LENGTH = 200;

/** Why a document is not served as a feed. */
export class NotAFeed extends Error {
  constructor(
    readonly code: NotAFeedCode,
    message: string,
  ) {
    super(message.slice(0, MESSAGE_MAX_LENGTH));
    this.name = 'NotAFeed';
  }
}
