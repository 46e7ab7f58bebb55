import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase } from '@balados/testing';
import { TOKEN_READER, tokenReadContext, usersContext } from './index';

it('lets a service that asks whose token it is read that, and nothing else', async () => {
  const database = await createDatabase();
  const owner = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  await migrate(owner, usersContext);
  const url = new URL(database.url);
  url.searchParams.set('options', `-c role=${TOKEN_READER}`);
  const reader = await openPostgres(url.href, tokenReadContext, { service: 'test', poolSize: 2 });
  try {
    const columns = 'id, user_id, kind, secret_hash, revoked_at, last_used_at';
    expect(await reader.query(`SELECT ${columns} FROM users.api_tokens`)).toEqual([]);
    const refused = { driverError: { code: '42501' } };
    for (const statement of ['SELECT * FROM users.api_tokens', 'SELECT name FROM users.api_tokens'])
      await expect(reader.query(statement)).rejects.toMatchObject(refused);
    await expect(reader.query('UPDATE users.api_tokens SET last_used_at = now()')).rejects.toMatchObject(refused);
    await expect(reader.query('DELETE FROM users.api_tokens')).rejects.toMatchObject(refused);
    const tables: { name: string }[] = await owner.query(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'users'`,
    );
    expect(tables.length).toBeGreaterThan(5);
    for (const { name } of tables) await expect(reader.query(`SELECT * FROM ${name}`)).rejects.toMatchObject(refused);
  } finally {
    await reader.destroy();
    await owner.destroy();
    await database.drop();
  }
});
