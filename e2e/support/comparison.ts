import { Decider, DomainEvent, Recorded, StoredEvent } from '@balados/event-sourcing';
import { drift } from '@balados/site-projections';
import { waitFor } from '@balados/testing';
import { usersEvents } from '@balados/users-contracts';
import { allPlays, isSubscribed, listening, subscriptions } from '@balados/users-domain';
import { Client } from 'pg';
import { isForSite } from './held';
import { LogReader } from './log';
import { System } from './system';
import { Effect } from './writer';

type Category = Effect['stream'];

/** A listener's streams as they stand. */
export type History = Record<Category, StoredEvent[]>;

const PUBLISHED_FROM_LISTENERS = 2;

/** Runs one statement after another on the database of a system. */
export async function withSql<Result>(url: string, work: (client: Client) => Promise<Result>): Promise<Result> {
  const client = new Client({ connectionString: url });
  await client.connect();
  // As connections of site have it: its functions name their tables alone.
  await client.query('SET search_path = site_private, site');
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}

/** User ids of all who have an account. */
export const allListeners = (url: string): Promise<string[]> =>
  withSql(url, async (client) => {
    const { rows } = await client.query<{ user_id: string }>('SELECT user_id FROM users.accounts');
    return rows.map((row) => row.user_id);
  });

export async function histories(log: LogReader, users: readonly string[]): Promise<Map<string, History>> {
  const found = new Map<string, History>();
  for (const user of users) {
    const [first, second] = await Promise.all([log.read(`subscriptions-${user}`), log.read(`listening-${user}`)]);
    found.set(user, { subscriptions: first, listening: second });
  }
  return found;
}

const told = (events: readonly StoredEvent[]) => events.flatMap((event) => usersEvents.decode(event));

/**
 * What is wrong with a stream, against what a device knows that it wrote: an acknowledged write must be there exactly once, one that
 * was not at most once, all in the order in which they were sent, and nothing else. Empty when all is well.
 */
export function contradictions(effects: readonly Effect[], { subscriptions, listening }: History): string[] {
  const problems: string[] = [];
  const keys: Record<Category, string[]> = {
    subscriptions: told(subscriptions).map(({ type, data }) => {
      const sign = type === 'PodcastSubscribed' ? '+' : '-';
      return `${sign}${(data as { sourceId: string }).sourceId}`;
    }),
    listening: told(listening).map(({ data }) => `${(data as { position: number }).position}`),
  };
  for (const category of ['subscriptions', 'listening'] as const) {
    const there = keys[category];
    let next = 0;
    for (const { key, acknowledged } of effects.filter(({ stream }) => stream === category)) {
      if (there[next] === key) next += 1;
      else if (acknowledged) problems.push(`${category}: ${key} was acknowledged; ${there[next]} stands at ${next}`);
    }
    if (next < there.length)
      problems.push(`${category}: ${there.length - next} events too many from ${there[next]} on`);
  }
  for (const events of [subscriptions, listening])
    events.forEach(({ stream, revision }, index) => {
      if (revision !== index) problems.push(`${stream}: revision ${revision} at place ${index}`);
    });
  return problems;
}

/** Waits until the projections hold all of these listeners' events. */
export async function untilProjected(system: System, found: Map<string, History>): Promise<void> {
  const expected: [stream: string, revision: number][] = [];
  for (const [user, history] of found) {
    for (const category of ['subscriptions', 'listening'] as const) {
      const events = history[category];
      if (events.length > 0) expected.push([`users ${user} ${category}`, events.at(-1)!.revision]);
      // site counts nothing else, and keeps the revision of what it counted
      const counting = events.filter(isForSite).at(-1);
      if (counting) expected.push([`site ${user} ${category}`, counting.revision]);
    }
  }
  await withSql(system.database, (client) =>
    waitFor(
      async () => {
        const { rows } = await client.query<{ stream: string; revision: string }>(
          `SELECT concat_ws(' ', 'users', user_id, category) AS stream, revision FROM users.listener_revisions
           UNION ALL SELECT concat_ws(' ', 'site', user_id, category), revision FROM site_private.listener_revisions`,
        );
        const there = new Map(rows.map(({ stream, revision }) => [stream, Number(revision)]));
        const behind = expected.filter(([stream, revision]) => (there.get(stream) ?? -1) < revision);
        if (behind.length > 0) throw new Error(`${behind.length} streams are behind, such as ${behind[0]!.join(' ')}`);
        return true;
      },
      { what: 'projections that have caught up' },
    ),
  );
}

/** Expects both contexts' tables to hold what the log says, and no segment to have stopped. */
export async function expectTablesToEqualTheLog(system: System, found: Map<string, History>): Promise<void> {
  await withSql(system.database, async (client) => {
    expect(await failedSegments(client)).toEqual([]);
    for (const [user, history] of found) {
      expect(await tablesOf(client, user)).toEqual(foldOf(history));
    }
    expect(await popularityOf(client)).toEqual(naivePopularity(found));
    const sql = { query: async (text: string) => (await client.query(text)).rows };
    expect(await drift(sql as never, { publicMinListeners: PUBLISHED_FROM_LISTENERS })).toBe(0);
  });
}

async function failedSegments(client: Client): Promise<unknown[]> {
  const { rows } = await client.query(
    `SELECT projector, segment, failed_event, failed_reason FROM users.projector_segments WHERE failed_at IS NOT NULL
     UNION ALL
     SELECT projector, segment, failed_event, failed_reason FROM site_private.projector_segments WHERE failed_at IS NOT NULL`,
  );
  return rows;
}

const iso = (time: Date | number | null): string | null => (time === null ? null : new Date(time).toISOString());
const byKey = (left: { key: string }, right: { key: string }): number => (left.key < right.key ? -1 : 1);

async function tablesOf(client: Client, user: string) {
  const held = await client.query('SELECT * FROM users.subscriptions WHERE user_id = $1', [user]);
  const plays = await client.query('SELECT * FROM users.play_statuses WHERE user_id = $1', [user]);
  return {
    subscriptions: held.rows
      .map((row) => ({
        key: row.feed as string,
        sourceId: row.source_id as string,
        at: [iso(row.subscribed_at), iso(row.unsubscribed_at)],
        subscribed: row.subscribed as boolean,
        revision: Number(row.revision),
      }))
      .sort(byKey),
    plays: plays.rows
      .map((row) => ({
        key: `${row.feed} ${row.item}`,
        position: row.position as number,
        played: row.played as boolean,
        at: iso(row.updated_at),
        revision: Number(row.revision),
      }))
      .sort(byKey),
  };
}

function foldOf({ subscriptions: held, listening: heard }: History) {
  return {
    subscriptions: [...folded(subscriptions, held).feeds.values()]
      .map((entry) => ({
        key: entry.feed,
        sourceId: entry.sourceId,
        at: [iso(entry.subscribedAt), iso(entry.unsubscribedAt)],
        subscribed: isSubscribed(entry),
        revision: entry.revision,
      }))
      .sort(byKey),
    plays: [...allPlays(folded(listening, heard))]
      .map((play) => ({
        key: `${play.feed} ${play.item}`,
        position: play.position,
        played: play.played,
        at: iso(play.updatedAt),
        revision: play.revision,
      }))
      .sort(byKey),
  };
}

const folded = <Command, State, Event extends DomainEvent>(
  decider: Decider<Command, State, Event>,
  events: readonly StoredEvent[],
): State => (told(events) as unknown as Recorded<Event>[]).reduce(decider.evolve, decider.initialState());

interface Counts {
  score: number;
  plays: number;
}

async function popularityOf(
  client: Client,
): Promise<{ podcasts: Record<string, Counts>; episodes: Record<string, Counts> }> {
  const podcasts = await client.query('SELECT feed AS key, score, plays FROM site.podcast_popularity');
  const episodes = await client.query('SELECT item AS key, score, plays FROM site.episode_popularity');
  const keyed = (rows: ({ key: string } & Counts)[]): Record<string, Counts> =>
    Object.fromEntries(rows.map(({ key, score, plays }) => [key, { score, plays }]));
  return { podcasts: keyed(podcasts.rows), episodes: keyed(episodes.rows) };
}

/** The rules in their plainest words, from the log alone: every listener anonymous, every item in one feed only. */
function naivePopularity(found: Map<string, History>) {
  const listeners = new Map<string, Set<string>>();
  const feedsOf = new Map<string, string>();
  const podcasts: Record<string, Counts> = {};
  const episodes: Record<string, Counts> = {};
  const add = (counts: Record<string, Counts>, key: string, points: number, plays: number): void => {
    counts[key] ??= { score: 0, plays: 0 };
    counts[key].score += points;
    counts[key].plays += plays;
  };
  for (const [user, history] of found) {
    const subscribed = new Set<string>();
    const heard = new Set<string>();
    for (const { type, data, metadata } of told([...history.subscriptions, ...history.listening])) {
      if (type === 'PodcastSubscribed') subscribed.add(data.feed);
      if (type === 'PodcastUnsubscribed') subscribed.delete(data.feed);
      if (type !== 'PlayRecorded') continue;
      feedsOf.set(data.item, data.feed);
      heard.add(JSON.stringify([data.feed, data.item, metadata.recordedAt.slice(0, 10)]));
    }
    const heardOf = [...heard].map((key) => JSON.parse(key) as [feed: string, item: string]);
    for (const feed of subscribed) add(podcasts, feed, 10, 0);
    for (const [feed, item] of heardOf) {
      add(podcasts, feed, 5, 1);
      add(episodes, item, 5, 1);
    }
    for (const feed of [...subscribed, ...heardOf.map(([feed]) => feed)])
      listeners.set(feed, (listeners.get(feed) ?? new Set()).add(user));
  }
  const published = (feed: string): boolean => listeners.get(feed)!.size >= PUBLISHED_FROM_LISTENERS;
  return {
    podcasts: Object.fromEntries(Object.entries(podcasts).filter(([feed]) => published(feed))),
    episodes: Object.fromEntries(Object.entries(episodes).filter(([item]) => published(feedsOf.get(item)!))),
  };
}
