import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase } from '@balados/testing';
import { usersContext } from '@balados/users-schema';
import { loadLinkKeys } from './link-keys';

it('makes a key of play links once, whoever comes first, and keeps it', async () => {
  const [one, other] = [await createDatabase(), await createDatabase()];
  try {
    for (const { url } of [one, other]) {
      const users = await openPostgres(url, usersContext, { service: 'test', poolSize: 2 });
      await migrate(users, usersContext);
      await users.destroy();
    }
    const load = async (url: string) => (await loadLinkKeys(url)).map((key) => key.export().toString('base64url'));
    const together = await Promise.all([1, 2, 3].map(() => load(one.url)));
    expect(new Set(together.flat()).size).toBe(1);
    expect(await load(one.url)).toEqual(together[0]);
    expect(await load(other.url)).not.toEqual(together[0]);
  } finally {
    await one.drop();
    await other.drop();
  }
});
