import { DataSource } from 'typeorm';
import { openPostgres } from './postgres';
import { Projector, projectorTables } from './projector';

/**
 * A projector whose rows tell when an event was applied twice, not at all, or too early: it counts, and it keeps the last number of
 * each stream. An event `{poison: true}` cannot be applied.
 */
export const countingProjector: Projector = {
  name: 'counting',
  schema: 'counting',
  prefixes: ['counted-'],
  async project(transaction, events) {
    for (const { stream, revision, data } of events) {
      if ((data as { poison?: boolean }).poison) throw new Error('poison');
      const [, inOrder] = await transaction.query(
        `UPDATE counting.streams SET count = count + 1, last = $2 WHERE stream = $1 AND last = $2 - 1`,
        [stream, revision],
      );
      if (inOrder === 1) continue;
      // The first one; any other that is out of its order breaks the primary key.
      await transaction.query(`INSERT INTO counting.streams (stream, count, last) VALUES ($1, 1, $2)`, [
        stream,
        revision,
      ]);
    }
  },
};

export const openCounting = (url: string, idleInTransactionMs?: number): Promise<DataSource> =>
  openPostgres(url, { schema: 'counting', entities: [], migrations: [] }, { service: 'test', idleInTransactionMs });

export async function createCountingTables(url: string): Promise<void> {
  const dataSource = await openCounting(url);
  await dataSource.query(`CREATE SCHEMA counting;
    CREATE TABLE counting.streams (stream text PRIMARY KEY, count integer NOT NULL, last bigint NOT NULL);
    ${projectorTables('counting')}`);
  await dataSource.destroy();
}
