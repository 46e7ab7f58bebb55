export type NotAFeedCode =
  | 'malformed'
  | 'other_document'
  | 'internal_subset'
  | 'too_deep'
  | 'too_many_attributes'
  | 'too_many_items'
  | 'too_many_escapes';

/** Why a document is not served as a feed. */
export class NotAFeed extends Error {
  constructor(
    readonly code: NotAFeedCode,
    message: string,
  ) {
    super(message);
    this.name = 'NotAFeed';
  }
}
