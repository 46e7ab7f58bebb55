import { Client } from 'pg';
import { Spread, spread } from './report';

const COMMITS = 500;

/** One small row, committed, from one connection: what no write can be faster than. */
export async function commitTimes(databaseUrl: string): Promise<Spread> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    await client.query('CREATE TABLE commits (id bigint PRIMARY KEY, data text NOT NULL)');
    const times: number[] = [];
    for (let n = 0; n < COMMITS; n += 1) {
      const started = performance.now();
      await client.query('INSERT INTO commits VALUES ($1, $2)', [n, 'x'.repeat(300)]);
      times.push(performance.now() - started);
    }
    await client.query('DROP TABLE commits');
    return spread(times);
  } finally {
    await client.end();
  }
}
