import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { Crowd } from './support/crowd';
import { newSeed, report, timed, within } from './support/limits';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

const WRITERS = 8;
/** A dead process's segments are another's within this time, in milliseconds. */
const TAKEOVER_LIMIT_MS = 10_000;
/** Writes that go on at each stage. */
const SOME_WRITES = 100;
const FREEZES = 3;

describe('two projections processes that share the segments', () => {
  let system: System;
  let first: ServiceProcess;
  let second: ServiceProcess;
  let client: Client;

  beforeAll(async () => {
    system = await startSystem('services', {}, ['projections', 'command-api']);
    first = system.processes['projections']!;
    second = new ServiceProcess('projections-2', 'projections/main', system.env);
    system.processes['projections-2'] = second;
    await second.start();
    client = new Client({ connectionString: system.database });
    await client.connect();
  }, 120_000);
  afterAll(async () => {
    await client?.end();
    await system?.stop();
  }, 120_000);

  /** How many live leases of each projector each process holds: `users 123` → 4. An owner's name holds its process's id. */
  async function leases(): Promise<{ projector: string; owner: string; segments: number }[]> {
    const { rows } = await client.query(
      `SELECT projector, owner, count(*)::integer AS segments FROM (
         SELECT projector, owner, leased_until FROM users.projector_segments
         UNION ALL SELECT projector, owner, leased_until FROM site_private.projector_segments) all_segments
       WHERE leased_until > now() GROUP BY projector, owner`,
    );
    return rows;
  }
  const isOf = (owner: string, { pid }: ServiceProcess): boolean => owner?.split('-').includes(`${pid}`) ?? false;

  async function shared(): Promise<boolean> {
    const held = await leases();
    const projectors = new Set(held.map(({ projector }) => projector));
    return (
      projectors.size === 2 &&
      [...projectors].every((name) =>
        [first, second].every((process) =>
          held.some(({ projector, owner }) => projector === name && isOf(owner, process)),
        ),
      )
    );
  }

  /** Whether this process holds every segment of every projector, and that by a lease that has not run out. */
  async function hasAll(process: ServiceProcess): Promise<boolean> {
    const { rows } = await client.query(
      `SELECT owner, leased_until > now() AS held FROM users.projector_segments
       UNION ALL SELECT owner, leased_until > now() FROM site_private.projector_segments`,
    );
    return rows.every(({ owner, held }) => held && isOf(owner, process));
  }

  const inTime = (body: () => Promise<void>) => within(120, () => Object.values(system.processes), body);

  it(
    'both have a share',
    ...inTime(async () => {
      report(`both have a share after ${await timed('a share for both', shared)} ms`);
    }),
  );

  it(
    'one takes all when the other is killed, which gets its share again when it comes back',
    ...inTime(async () => {
      const crowd = await Crowd.start(system, WRITERS, newSeed('takeover, kill'));
      for (const [dead, alive] of [
        [first, second],
        [second, first],
      ] as const) {
        await crowd.untilAcknowledged(SOME_WRITES);
        await waitFor(shared, { what: 'a share for both' });
        await dead.kill();
        const took = await timed(`${alive.name} to have all segments`, () => hasAll(alive), TAKEOVER_LIMIT_MS);
        await crowd.untilAcknowledged(SOME_WRITES);
        await dead.start();
        report(
          `all segments taken over after ${took} ms, shared again after ${await timed('a share for both', shared)} ms`,
        );
      }
      await crowd.stop();
      await crowd.expectNothingLostNorDoubled();
    }),
  );

  it(
    'one that was frozen and wakes after its segments were taken writes nothing',
    ...inTime(async () => {
      const crowd = await Crowd.start(system, WRITERS, newSeed('takeover, freeze'));
      for (let freeze = 0; freeze < FREEZES; freeze += 1) {
        await crowd.untilAcknowledged(SOME_WRITES / 2);
        await waitFor(shared, { what: 'a share for both' });
        first.signal('SIGSTOP');
        const took = await timed(`${second.name} to have all segments`, () => hasAll(second));
        // What the frozen one had in its hands is written by the other, and more.
        await crowd.untilAcknowledged(SOME_WRITES / 2);
        first.signal('SIGCONT');
        report(
          `frozen: all segments taken over after ${took} ms, shared again after ${await timed('a share for both', shared)} ms`,
        );
      }
      await crowd.stop();
      await crowd.expectNothingLostNorDoubled();
    }),
  );

  it(
    'one that stops in order gives its segments back at once',
    ...inTime(async () => {
      await waitFor(shared, { what: 'a share for both' });
      expect(await second.stop()).toBe(0);
      report(
        `all segments taken over ${await timed('the first to have all segments', () => hasAll(first), TAKEOVER_LIMIT_MS)} ms after an orderly stop`,
      );
    }),
  );
});
