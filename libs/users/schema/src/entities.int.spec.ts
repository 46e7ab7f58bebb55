import { migrate, openPostgres } from '@balados/platform-stores';
import { createDatabase } from '@balados/testing';
import { usersContext } from './index';

it('describes the tables as the migrations make them', async () => {
  const database = await createDatabase();
  const dataSource = await openPostgres(database.url, usersContext, { service: 'schema test', poolSize: 2 });
  try {
    await migrate(dataSource, usersContext);
    const { upQueries } = await dataSource.driver.createSchemaBuilder().log();
    // Names of constraints and indexes are the migrations' own.
    const columns = upQueries.map(({ query }) => query).filter((query) => !/CONSTRAINT|INDEX/.test(query));
    expect(columns).toEqual([]);
    for (const entity of usersContext.entities) await dataSource.getRepository(entity).find({ take: 1 });
  } finally {
    await dataSource.destroy();
    await database.drop();
  }
});
