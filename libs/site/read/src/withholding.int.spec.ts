import { migrate, openPostgres } from '@balados/platform-stores';
import { siteContext } from '@balados/site-schema';
import { createDatabase, TestDatabase } from '@balados/testing';
import { DataSource } from 'typeorm';
import { isWithheld, withoutPeople } from './index';

const MINUTE_MS = 60_000;
let database: TestDatabase;
let site: DataSource;

beforeAll(async () => {
  database = await createDatabase();
  site = await openPostgres(database.url, siteContext, { service: 'test' });
  await migrate(site, siteContext);
});
afterAll(async () => {
  await site.destroy();
  await database.drop();
});
beforeEach(() => site.query('TRUNCATE site_private.projector_segments, site_private.segments_caught_up'));

/** Segments of the projector, each by how many seconds ago it had caught up, or null for one that never had. */
async function segments(...secondsAgo: (number | null)[]): Promise<void> {
  for (const [segment, seconds] of secondsAgo.entries()) {
    await site.query(`INSERT INTO site_private.projector_segments (projector, segment) VALUES ('site', $1)`, [segment]);
    if (seconds !== null)
      await site.query(
        `INSERT INTO site_private.segments_caught_up VALUES ($1, clock_timestamp() - $2 * interval '1 s')`,
        [segment, seconds],
      );
  }
}

it.each([
  ['no projector ever ran', [], true],
  ['one segment never caught up', [0, null, 0], true],
  ['one segment is late', [0, 61, 0], true],
  ['all have caught up lately', [0, 50, 20], false],
])('names are withheld when %s: %j → %s', async (_, secondsAgo, withheld) => {
  await segments(...secondsAgo);
  expect(await isWithheld(site, { maxLagMs: MINUTE_MS })).toBe(withheld);
});

it('leaves counts and takes names and events', () => {
  const row = { score: 3, plays_people: ['a'], likes_people: ['b'] };
  const nameless = { score: 3, plays_people: [], likes_people: [] };
  expect(withoutPeople({ podcast: row })).toEqual({ podcast: nameless });
  expect(withoutPeople([row, { url: 'x' }])).toEqual([nameless, { url: 'x' }]);
  expect(withoutPeople({ episodes: [row, row] })).toEqual({ episodes: [nameless, nameless] });
  expect(withoutPeople({ events: [{ user_id: 'a' }], pagination: { limit: 1, offset: 0, next_cursor: 'x' } })).toEqual({
    events: [],
    pagination: { limit: 1, offset: 0, next_cursor: null },
  });
});
