/** What runs SQL, and only that. */
interface Queries {
  query<Result>(statement: string, parameters?: unknown[]): Promise<Result>;
}

interface Plan {
  'Node Type': string;
  'Relation Name'?: string;
  'Index Name'?: string;
  'Index Cond'?: string;
  'Total Cost': number;
  Plans?: Plan[];
}

/** A statement's plan reads a whole table, or a whole index without a limit. */
export class ReadsAll extends Error {}

/**
 * Runs what is asked, each statement after a look at its plan: Postgres must have chosen an index for whatever it reads of tables
 * but those of `small`, which do not grow. `seen` hears of each statement that was looked at, and which indexes it takes.
 * @throws ReadsAll (as a rejection)
 */
export function explaining<Database extends object>(
  database: Database,
  {
    small,
    seen = () => undefined,
  }: { small: readonly string[]; seen?: (statement: string, indexes: string[]) => void },
): Database {
  const { query } = database as unknown as Queries;
  const explained: Queries['query'] = async (statement, parameters) => {
    if (/^\s*(?:SELECT|INSERT|UPDATE|DELETE|WITH)\b/i.test(statement)) {
      const [row] = await query.call<Database, [string, unknown[]?], Promise<{ 'QUERY PLAN': [{ Plan: Plan }] }[]>>(
        database,
        `EXPLAIN (FORMAT JSON) ${statement}`,
        parameters,
      );
      const plan = row!['QUERY PLAN'][0].Plan;
      const readWhole = [...readsOfAll(plan, false)].filter((table) => !small.includes(table));
      if (readWhole.length > 0)
        throw new ReadsAll(`reads all of ${readWhole.join(', ')}:\n${statement}\n${JSON.stringify(plan, null, 1)}`);
      seen(statement, [...indexesOf(plan)]);
    }
    return query.call(database, statement, parameters) as never;
  };
  return new Proxy(database, {
    get: (target, name) => {
      if (name === 'query') return explained;
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value as () => unknown).bind(target) : value;
    },
  });
}

/** Tables that a plan reads from one end to the other. */
function* readsOfAll(plan: Plan, isLimited: boolean): Iterable<string> {
  const type = plan['Node Type'];
  const isIndex = type === 'Index Scan' || type === 'Index Only Scan';
  // A partition that is known to be empty costs nothing.
  const isEmpty = plan['Total Cost'] === 0;
  if ((type === 'Seq Scan' && !isEmpty) || (isIndex && !plan['Index Cond'] && !isLimited))
    yield plan['Relation Name'] ?? type;
  // What sorts or joins reads all that is below it, limit or not.
  const passes = isLimited || type === 'Limit';
  const isStreaming = ['Limit', 'Subquery Scan', 'Nested Loop', 'Result', 'LockRows'].includes(type);
  for (const below of plan.Plans ?? []) yield* readsOfAll(below, passes && isStreaming);
}

function* indexesOf(plan: Plan): Iterable<string> {
  if (plan['Index Name']) yield plan['Index Name'];
  for (const below of plan.Plans ?? []) yield* indexesOf(below);
}
