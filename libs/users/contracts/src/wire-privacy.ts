import { encodeBase64, feedParameter, itemParameter } from '@balados/feeds-ids';
import { z } from 'zod';
import { WirePrivacy } from './answers';
import { PRIVACIES, Privacy } from './events';

/** Most settings of a listener that stand at a time. */
export const PRIVACY_SETTINGS_MAX = 10_000;
/** Most settings of a listener, removed ones included: a folded state holds them all. */
export const PRIVACY_SETTINGS_KEPT_MAX = 50_000;

const scope = {
  feed: feedParameter.nullish().transform((feed) => feed ?? null),
  item: itemParameter.nullish().transform((item) => item ?? null),
};

/**
 * Neither: the account. A feed: its podcast. An item: an episode, of that feed or of the one that is looked up. Strict, since a
 * misspelt `feed` would be taken for the account, and show the world more than was meant.
 */
export const privacyBody = z.strictObject({ privacy: z.enum(PRIVACIES), ...scope });
/** In a query, too, what is not there is the account; or, in a list, no filter. */
export const privacyQuery = z.strictObject({ feed: feedParameter.optional(), item: itemParameter.optional() });

export const wirePrivacy = (setting: {
  feed: string | null;
  item: string | null;
  privacy: Privacy | null;
}): WirePrivacy => ({
  feed: setting.feed === null ? null : encodeBase64(setting.feed),
  item: setting.item === null ? null : encodeBase64(setting.item),
  privacy: setting.privacy,
});
