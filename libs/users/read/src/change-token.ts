import { NO_EVENTS } from '@balados/event-sourcing';
import { z } from 'zod';

const revision = z.number().int().min(NO_EVENTS);

/**
 * How far a device has been told: of which store, whose, and the revision of each of the listener's streams. The token of a sync says this of
 * three of them, and can be read as one; the other way round it cannot.
 */
const contents = z.object({
  store: z.string(),
  user: z.string(),
  subscriptions: revision,
  listening: revision,
  playlists: revision.default(NO_EVENTS),
  privacy: revision.default(NO_EVENTS),
});
export type ChangeToken = z.infer<typeof contents>;

export const encodeChangeToken = (token: ChangeToken): string =>
  Buffer.from(JSON.stringify(token)).toString('base64url');

/** Undefined for what is no token of ours. */
export function decodeChangeToken(text: string): ChangeToken | undefined {
  try {
    return contents.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch {
    return undefined;
  }
}
