import { BUNDLE, StoredEvent, typesOf } from '@balados/event-sourcing';

/** Whether nothing would be hidden any more by an event that is passed over, as far as can be told. */
export const hides = (stored: StoredEvent): boolean =>
  stored.stream.startsWith('privacy-') || typesOf(stored).some((type) => type === 'HistoryErased' || type === BUNDLE);
