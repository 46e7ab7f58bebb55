import { Client } from 'pg';
import { createDatabase } from './database';

it('makes databases of its own and drops them, open connections or not', async () => {
  const database = await createDatabase();
  const client = new Client({ connectionString: database.url });
  const cutOff = new Promise((resolve) => client.on('error', resolve));
  await client.connect();
  await client.query('CREATE TABLE things (id int)');
  await database.drop();
  expect(await cutOff).toMatchObject({ code: '57P01' });
  await expect(new Client({ connectionString: database.url }).connect()).rejects.toMatchObject({ code: '3D000' });
});
