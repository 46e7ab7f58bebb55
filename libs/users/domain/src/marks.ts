import { Recorded } from '@balados/event-sourcing';
import { MarkEvent } from '@balados/users-contracts';
import { dated, instant, rfc3339, utcDay } from './claims';

/** What a listener noted of an episode beside playing it. Times in epoch milliseconds, item as `<guid>,<enclosure>` as last sent. */
export interface Mark {
  feed: string;
  item: string;
  /** null: it is not saved. */
  savedAt: number | null;
  /** When it was unsaved; null while it is saved, and when it never was. */
  unsavedAt: number | null;
  sharedAt: number | null;
  /** UTC day of the last share (undefined: none yet). */
  sharedOn: number | undefined;
  /** Of the event that set it last. */
  revision: number;
}

/** The latest date of a mark. */
export const markedAt = ({ savedAt, unsavedAt, sharedAt }: Mark): number =>
  Math.max(savedAt ?? -Infinity, unsavedAt ?? -Infinity, sharedAt ?? -Infinity);

/** Without a feed the episode is looked up. */
export interface MarkCommand {
  type: 'SaveEpisode' | 'UnsaveEpisode' | 'ShareEpisode';
  data: { feed?: string; item: string; now: number };
}

/** `held`: what is noted of this item of this feed. */
export function decideMark({ type, data }: MarkCommand, feed: string, held: Mark | undefined): MarkEvent[] {
  const { item, now } = data;
  switch (type) {
    case 'SaveEpisode': {
      const since = held?.savedAt ?? null;
      if (since !== null && held?.item === item) return [];
      const savedAt = rfc3339(since ?? dated(now, held?.unsavedAt ?? undefined));
      return [{ type: 'EpisodeSaved', data: { feed, item, savedAt } }];
    }
    case 'UnsaveEpisode': {
      if (!held || held.savedAt === null) return [];
      return [{ type: 'EpisodeUnsaved', data: { feed, item, unsavedAt: rfc3339(dated(now, held.savedAt)) } }];
    }
    case 'ShareEpisode': {
      if (held?.sharedOn !== undefined && held.sharedOn >= utcDay(now)) return [];
      return [{ type: 'EpisodeShared', data: { feed, item, sharedAt: rfc3339(now) } }];
    }
  }
}

/** What is noted after the event; `feed` is that of the event. */
export function evolveMark(held: Mark | undefined, feed: string, event: Recorded<MarkEvent>): Mark {
  const mark: Mark = {
    feed,
    item: event.data.item,
    savedAt: held?.savedAt ?? null,
    unsavedAt: held?.unsavedAt ?? null,
    sharedAt: held?.sharedAt ?? null,
    sharedOn: held?.sharedOn,
    revision: event.revision,
  };
  switch (event.type) {
    case 'EpisodeSaved':
      return { ...mark, savedAt: instant(event.data.savedAt), unsavedAt: null };
    case 'EpisodeUnsaved':
      return { ...mark, savedAt: null, unsavedAt: instant(event.data.unsavedAt) };
    case 'EpisodeShared': {
      const sharedOn = utcDay(instant(event.metadata.recordedAt));
      return { ...mark, sharedAt: instant(event.data.sharedAt), sharedOn };
    }
  }
}
