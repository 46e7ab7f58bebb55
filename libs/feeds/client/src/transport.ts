import { FEED_MAX_LENGTH, ITEM_MAX_BYTES } from '@balados/feeds-ids';
import { z } from 'zod';
import { feedEpisode, feedMetadata } from './feeds-client';

/** Longest message between services, in characters; the longest question has 5,048 before JSON escapes it. */
export const MESSAGE_MAX_LENGTH = 65_536;

const feed = z.string().min(1).max(FEED_MAX_LENGTH);
/** W3C's headers of the trace that the question belongs to. */
const trace = z.object({ traceparent: z.string().max(64), tracestate: z.string().max(512).optional() }).optional();
const unavailable = z.object({ code: z.string(), message: z.string(), retryAfterMs: z.number().nullable() });
const answered = <Answer extends z.ZodType>(answer: Answer) =>
  z.union([z.object({ answer }), z.object({ unavailable })]);

/** The contract on the wire: each question's pattern, its form, and that of its answer. */
export const EPISODE = {
  pattern: 'feeds.episode',
  question: z.object({ feed, item: z.string().min(1).max(ITEM_MAX_BYTES), trace }),
  answer: answered(feedEpisode.nullable()),
};
export const METADATA = {
  pattern: 'feeds.metadata',
  question: z.object({ feed, trace }),
  answer: answered(feedMetadata),
};
