import { Sql } from '@balados/platform-stores';

/**
 * Whether listeners may not be named, and the timeline not shown: what somebody hid more than `maxLagMs` milliseconds ago may still
 * stand in the tables, since projections are late, or fill the tables from nothing, or nobody knows.
 */
export async function isWithheld(sql: Sql, { maxLagMs }: { maxLagMs: number }): Promise<boolean> {
  const [row] = await sql.query<{ fresh: boolean | null }[]>(
    `SELECT caught_up_at >= clock_timestamp() - $1 * interval '1 ms' AS fresh FROM site.projection`,
    [maxLagMs],
  );
  return row?.fresh !== true;
}

type Named = { plays_people: string[]; likes_people: string[] };

/** Anything that the public reads, without what is withheld: lists of people and events are empty, counts stay. */
export function withoutPeople<Answer extends object>(answer: Answer): Answer {
  const nameless = (row: object): object => ('plays_people' in row ? { ...row, ...NOBODY } : row);
  if (Array.isArray(answer)) return answer.map(nameless) as unknown as Answer;
  return Object.fromEntries(
    Object.entries(answer).map(([name, value]) => {
      if (name === 'events') return [name, []];
      if (name === 'pagination') return [name, { ...value, next_cursor: null }];
      return [name, Array.isArray(value) ? value.map(nameless) : nameless(value)];
    }),
  ) as Answer;
}

const NOBODY: Named = { plays_people: [], likes_people: [] };
