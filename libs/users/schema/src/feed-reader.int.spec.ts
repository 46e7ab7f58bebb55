import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase } from '@balados/testing';
import { FEED_READER, tokenReadContext, usersContext } from './index';

it('lets a service that makes personal feeds read what they are made of, and nothing else', async () => {
  const database = await createDatabase();
  const owner = await openPostgres(database.url, usersContext, { service: 'test', poolSize: 2 });
  await migrate(owner, usersContext);
  const url = new URL(database.url);
  url.searchParams.set('options', `-c role=${FEED_READER}`);
  const reader = await openPostgres(url.href, tokenReadContext, { service: 'test', poolSize: 2 });
  try {
    for (const [table, columns] of [
      ['api_tokens', 'id, user_id, kind, secret_hash, revoked_at, last_used_at'],
      ['subscriptions', 'user_id, feed, subscribed_at, subscribed'],
      ['playlists', 'user_id, playlist_id, name, description, deleted_at, item_order'],
      ['playlist_items', 'user_id, playlist_id, item_id, feed, item, created_at, deleted_at'],
    ])
      expect(await reader.query(`SELECT ${columns} FROM users.${table}`)).toEqual([]);
    const refused = { driverError: { code: '42501' } };
    const tables: { name: string }[] = await owner.query(
      `SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables WHERE schemaname = 'users'`,
    );
    expect(tables.length).toBeGreaterThan(5);
    for (const { name } of tables) {
      await expect(reader.query(`SELECT * FROM ${name}`)).rejects.toMatchObject(refused);
      await expect(reader.query(`DELETE FROM ${name}`)).rejects.toMatchObject(refused);
    }
  } finally {
    await reader.destroy();
    await owner.destroy();
    await database.drop();
  }
});
