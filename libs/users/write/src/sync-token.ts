import { NO_EVENTS } from '@balados/event-sourcing';
import { z } from 'zod';

/** How far a device has seen: the store's id, whose token it is, and the revision of each of the listener's streams. */
const contents = z.object({
  store: z.string(),
  user: z.string(),
  subscriptions: z.number().int().min(-1),
  listening: z.number().int().min(-1),
  /** Tokens from before playlists were synced have seen none of them. */
  playlists: z.number().int().min(-1).default(NO_EVENTS),
  /** What was added to the device's times, in milliseconds. */
  shift: z.number().int(),
});
export type SyncToken = z.infer<typeof contents>;

export const encodeSyncToken = (token: SyncToken): string => Buffer.from(JSON.stringify(token)).toString('base64url');

/** Undefined for what is no token of ours. */
export function decodeSyncToken(text: string): SyncToken | undefined {
  try {
    return contents.parse(JSON.parse(Buffer.from(text, 'base64url').toString('utf8')));
  } catch {
    return undefined;
  }
}
