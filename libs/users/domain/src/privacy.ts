import { Decider, Refusal } from '@balados/event-sourcing';
import { episodeKey } from '@balados/feeds-ids';
import {
  HistoryErased,
  Privacy,
  PRIVACY_SETTINGS_KEPT_MAX,
  PRIVACY_SETTINGS_MAX,
  PrivacyEvent,
} from '@balados/users-contracts';
import { dated, instant, rfc3339 } from './claims';
import { decideErasure, erasedBy, EraseHistory, Erasures, latestOf, NOTHING_ERASED } from './erasure';

/** Both null: the account. A feed alone: its podcast. Both: one episode, with the item as last sent. An item never stands alone. */
export interface PrivacyScope {
  feed: string | null;
  item: string | null;
}

/** What was last asked of one scope; `privacy` null: its setting was removed. Time in epoch milliseconds, revision of the event. */
export type PrivacySetting = PrivacyScope & { privacy: Privacy | null; changedAt: number; revision: number };

export interface PrivacyState {
  /** By scope. What is removed stays, so that a removal that comes again without its feed still finds it. */
  settings: Map<string, PrivacySetting>;
  /** Only of an account: settings survive the erasing of a history. */
  erasures: Erasures;
  /** Of these, how many are not removed. */
  standing: number;
  bytes: number;
}

export type PrivacyCommand =
  | { type: 'ChangePrivacy'; data: PrivacyScope & { privacy: Privacy; now: number } }
  | { type: 'ResetPrivacy'; data: PrivacyScope & { now: number } }
  | EraseHistory;

/** An episode is one of a feed, known by its guid, or by its enclosure where there is none. */
function scopeKey({ feed, item }: PrivacyScope): string {
  if (feed === null) return '';
  return item === null ? feed : `${feed}\n${episodeKey(item)}`;
}

/** What was last asked of this very scope, if anything ever was. */
export const findPrivacy = (state: PrivacyState, scope: PrivacyScope): PrivacySetting | undefined =>
  state.settings.get(scopeKey(scope));

/** The settings that stand, in no particular order. */
export const standingPrivacy = ({ settings }: PrivacyState): PrivacySetting[] =>
  [...settings.values()].filter(({ privacy }) => privacy !== null);

/** The podcasts in which this item ever had a setting of its own. */
export function feedsWithPrivacy({ settings }: PrivacyState, item: string): string[] {
  const key = episodeKey(item);
  const feeds: string[] = [];
  for (const held of settings.values())
    if (held.feed !== null && held.item !== null && episodeKey(held.item) === key) feeds.push(held.feed);
  return feeds;
}

/** The account's setting always finds room: whoever wants to hide must not be refused it. @throws Refusal `privacy_full` */
function assertRoom({ settings, standing }: PrivacyState, { feed }: PrivacyScope, isKnown: boolean): void {
  if (feed === null) return;
  if (standing >= PRIVACY_SETTINGS_MAX)
    throw new Refusal('privacy_full', `${PRIVACY_SETTINGS_MAX} settings stand already, and no more can: remove some`);
  if (!isKnown && settings.size >= PRIVACY_SETTINGS_KEPT_MAX)
    throw new Refusal('privacy_full', `${PRIVACY_SETTINGS_KEPT_MAX} settings are kept already, and no more can be`);
}

const ENTRY_BYTES = 350;
/** What names the scope is held twice, in the setting and in its key. */
const bytesOf = ({ feed, item }: PrivacyScope): number => ENTRY_BYTES + 2 * ((feed?.length ?? 0) + (item?.length ?? 0));

const nothingSet = (): PrivacyState => ({ settings: new Map(), erasures: NOTHING_ERASED, standing: 0, bytes: 0 });

export const privacy: Decider<PrivacyCommand, PrivacyState, PrivacyEvent | HistoryErased> = {
  category: 'privacy',
  initialState: nothingSet,

  decide(command, state) {
    if (command.type === 'EraseHistory')
      return decideErasure(
        command,
        state.erasures,
        latestOf(state.settings.values(), ({ changedAt }) => changedAt),
      );
    const { type, data } = command;
    const { feed, item, now } = data;
    const held = findPrivacy(state, data);
    const isSet = held !== undefined && held.privacy !== null;
    const changedAt = rfc3339(dated(now, held?.changedAt));
    switch (type) {
      case 'ChangePrivacy': {
        // Another item of the same episode is news, since it is answered as last sent.
        if (held?.privacy === data.privacy && held.item === item) return [];
        if (!isSet) assertRoom(state, data, held !== undefined);
        return [{ type: 'PrivacyChanged', data: { feed, item, privacy: data.privacy, changedAt } }];
      }
      case 'ResetPrivacy':
        return isSet ? [{ type: 'PrivacyReset', data: { feed, item, changedAt } }] : [];
    }
  },

  evolve(state, event) {
    if (event.type === 'HistoryErased') return { ...nothingSet(), erasures: erasedBy(event, state.erasures) };
    const { feed, item, changedAt } = event.data;
    const key = scopeKey(event.data);
    const held = state.settings.get(key);
    const privacy = event.type === 'PrivacyChanged' ? event.data.privacy : null;
    const setting = { feed, item, privacy, changedAt: instant(changedAt), revision: event.revision };
    state.settings.set(key, setting);
    state.standing += Number(privacy !== null) - Number(held !== undefined && held.privacy !== null);
    state.bytes += bytesOf(setting) - (held ? bytesOf(held) : 0);
    return state;
  },

  bytes: (state) => state.bytes,
};
