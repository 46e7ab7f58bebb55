import { setTimeout as pause } from 'node:timers/promises';
import { Client } from 'pg';
import { DemoFailed } from '../demo/api';

const POLL_MS = 250;
/** Projectors that do not move for this long are given up, in milliseconds. */
const STANDSTILL_LIMIT_MS = 60_000;

/** Where a context's projectors stand. */
interface Standing {
  /** The least position of a segment; null while one has none. */
  position: string | null;
  failed: string | null;
}

/**
 * Waits until the projectors of both contexts have come to `position` of the log. `moved` hears how much of the way is done, 0 to 1.
 * @throws DemoFailed when they stand still, or one has stopped at an event
 */
export async function untilProjected(
  databases: { users: string; site: string },
  { from, to }: { from: bigint; to: bigint },
  moved: (share: number) => void,
): Promise<void> {
  const contexts = [
    { schema: 'users', client: new Client({ connectionString: databases.users }) },
    { schema: 'site_private', client: new Client({ connectionString: databases.site }) },
  ];
  await Promise.all(contexts.map(({ client }) => client.connect()));
  try {
    let [least, movedAt] = [from, Date.now()];
    for (;;) {
      const positions = await Promise.all(contexts.map(({ schema, client }) => standing(client, schema, from)));
      const now = positions.reduce((left, right) => (left < right ? left : right));
      if (now >= to) return;
      if (now > least) [least, movedAt] = [now, Date.now()];
      if (Date.now() - movedAt > STANDSTILL_LIMIT_MS)
        throw new DemoFailed(
          `the projections stand at ${now}, and the log's end is ${to}: do they run, on this event store?`,
        );
      moved(Number(least - from) / Number(to - from));
      await pause(POLL_MS);
    }
  } finally {
    await Promise.all(contexts.map(({ client }) => client.end()));
  }
}

async function standing(client: Client, schema: string, from: bigint): Promise<bigint> {
  const { rows } = await client.query<Standing>(
    `SELECT CASE WHEN count(*) = count(position) THEN min(position) END AS position, max(failed_reason) AS failed
     FROM ${schema}.projector_segments WHERE projector IN ('users', 'site')`,
  );
  const { position, failed } = rows[0]!;
  if (failed) throw new DemoFailed(`a projector has stopped: ${failed}`);
  return position === null ? from : BigInt(position);
}
