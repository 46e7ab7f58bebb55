import { Client } from 'pg';
import { createDatabase, templateDatabase } from './database';

async function query(url: string, sql: string): Promise<unknown[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('createDatabase', () => {
  it('makes databases of their own and drops them, open connections or not', async () => {
    const [database, other] = await Promise.all([createDatabase(), createDatabase()]);
    const client = new Client({ connectionString: database.url });
    const cutOff = new Promise((resolve) => client.on('error', resolve));
    await client.connect();
    await client.query('CREATE TABLE things (id int)');
    await database.drop();
    expect(await cutOff).toMatchObject({ code: '57P01' });
    await expect(query(database.url, 'SELECT 1')).rejects.toMatchObject({ code: '3D000' });
    await expect(query(other.url, 'SELECT * FROM things')).rejects.toMatchObject({ code: '42P01' });
    await other.drop();
  });
});

describe('templateDatabase', () => {
  it('is prepared once, however many ask at the same time, and copied', async () => {
    let prepared = 0;
    const prepare = async (url: string) => {
      prepared += 1;
      await query(url, 'CREATE TABLE things AS SELECT 7 AS id');
    };
    const names = await Promise.all([1, 2, 3].map(() => templateDatabase('once', prepare)));
    expect(new Set(names).size).toBe(1);
    expect(prepared).toBe(1);
    const copies = await Promise.all([createDatabase(names[0]), createDatabase(names[0])]);
    await query(copies[0].url, 'DELETE FROM things');
    expect(await query(copies[1].url, 'SELECT * FROM things')).toEqual([{ id: 7 }]);
    await Promise.all(copies.map((copy) => copy.drop()));
  });

  it('is another one for another content', async () => {
    const one = await templateDatabase('content', async (url) => void (await query(url, 'SELECT 1')));
    const two = await templateDatabase('content', async (url) => void (await query(url, 'SELECT 2')));
    expect(one).not.toBe(two);
  });

  it('is prepared anew when it failed', async () => {
    let prepared = 0;
    const prepare = async (url: string) => {
      prepared += 1;
      await query(url, 'CREATE TABLE things ()');
      if (prepared === 1) throw new Error('broken migration');
    };
    await expect(templateDatabase('failed', prepare)).rejects.toThrow('broken migration');
    const copy = await createDatabase(await templateDatabase('failed', prepare));
    expect(await query(copy.url, 'SELECT count(*)::int AS count FROM things')).toEqual([{ count: 0 }]);
    await copy.drop();
  });
});
