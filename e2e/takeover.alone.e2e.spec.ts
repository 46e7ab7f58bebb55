import { waitFor } from '@balados/testing';
import { Client } from 'pg';
import { Crowd } from './support/crowd';
import { LONG, newSeed, report, timed, within } from './support/limits';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

const WRITERS = 8;
/** A dead process's segments are another's within this time, in milliseconds. */
const TAKEOVER_LIMIT_MS = 10_000;
/** Writes that go on at each stage. */
const SOME_WRITES = 100;
const FREEZES = LONG ? 5 : 1;

describe('two projections processes that share the segments', () => {
  let system: System;
  let first: ServiceProcess;
  let second: ServiceProcess;
  let client: Client;

  beforeAll(async () => {
    system = await startSystem('services', {}, ['projections', 'command-api']);
    first = system.processes['projections']!;
    second = new ServiceProcess('projections-2', 'projections/main', system.envOf('projections'));
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
      const deaths = [
        [first, second],
        [second, first],
      ] as const;
      for (const [dead, alive] of deaths.slice(0, LONG ? 2 : 1)) {
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

  /**
   * Stops a process in the middle of a transaction, with the locks of its rows. The other's transactions are over in no time: one that
   * stays idle is that of the frozen process.
   */
  async function freezeInTransaction(process: ServiceProcess): Promise<void> {
    const isInTransaction = async (): Promise<boolean> => {
      const { rowCount } = await client.query(
        `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'balados projections'
         AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '250 ms'`,
      );
      return rowCount! > 0;
    };
    const frozen = async (): Promise<boolean> => {
      process.signal('SIGSTOP');
      try {
        return await waitFor(isInTransaction, { what: 'an open transaction', timeoutMs: 400 });
      } catch {
        process.signal('SIGCONT');
        return false;
      }
    };
    await waitFor(frozen, { what: `${process.name} to be frozen in a transaction` });
  }

  it(
    'one that was frozen and wakes after its segments were taken writes nothing',
    ...inTime(async () => {
      const crowd = await Crowd.start(system, WRITERS, newSeed('takeover, freeze'));
      for (let freeze = 0; freeze < FREEZES; freeze += 1) {
        await crowd.untilAcknowledged(SOME_WRITES);
        await waitFor(shared, { what: 'a share for both' });
        await freezeInTransaction(first);
        const took = await timed(`${second.name} to have all segments`, () => hasAll(second));
        // What the frozen one had in its hands is written by the other.
        const projected = await timed('the writes so far to be projected', () =>
          crowd.untilProjected().then(() => true),
        );
        first.signal('SIGCONT');
        await crowd.untilAcknowledged(SOME_WRITES);
        const again = await timed('a share for both', shared);
        report(`frozen: taken over after ${took} ms, projected ${projected} ms later, shared again after ${again} ms`);
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
