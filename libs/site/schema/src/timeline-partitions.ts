/** The public sees what was recorded in so many days, in the timeline. */
export const TIMELINE_DAYS = 31;
/** Partitions of months to come that are there already. */
export const MONTHS_AHEAD = 2;

/** A part of the timeline: from the one time on, until before the other. */
export interface TimelinePartition {
  /** In `site_private`, where the public has no access; of other bounds it is another. */
  name: string;
  /** SQL. */
  from: string;
  to: string;
}

/**
 * How the timeline is to be partitioned at `now` (epoch milliseconds): by months in UTC, from that on in which its oldest day lies. What
 * is older, or lies farther ahead than anybody expects, has a place too, so that a projector never fails for it; and with a last partition
 * without an end, unlike with a default one, a reader of the newest rows opens the partitions one after the other.
 */
export function timelinePartitions(now: number): { startsAt: Date; partitions: TimelinePartition[] } {
  const oldest = new Date(now - TIMELINE_DAYS * 86_400_000);
  const startsAt = monthOf(oldest, 0);
  const end = monthOf(new Date(now), MONTHS_AHEAD + 1);
  const months: Date[] = [];
  for (let month = startsAt; month < end; month = monthOf(month, 1)) months.push(month);
  const named = (what: string, month: Date): string =>
    `public_events_${what}${month.toISOString().slice(0, 7).replace('-', '_')}`;
  return {
    startsAt,
    partitions: [
      { name: named('before_', startsAt), from: 'MINVALUE', to: literal(startsAt) },
      ...months.map((month) => ({ name: named('', month), from: literal(month), to: literal(monthOf(month, 1)) })),
      { name: named('from_', end), from: literal(end), to: 'MAXVALUE' },
    ],
  };
}

/** The first moment of a month in UTC, so many months after that of `date`. */
const monthOf = (date: Date, months: number): Date =>
  new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months));

const literal = (time: Date): string => `'${time.toISOString()}'`;

/** SQL: makes a partition. Its rights are its own: who may read the timeline may not read it. */
export const makePartition = ({ name, from, to }: TimelinePartition): string =>
  `CREATE TABLE site_private.${name} PARTITION OF site.public_events FOR VALUES FROM (${from}) TO (${to});`;
