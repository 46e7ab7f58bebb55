import { Crowd } from './support/crowd';
import { LONG, newSeed, oneOf, randomFrom, report, timed, within } from './support/limits';
import { startSystem, System } from './support/system';

const WRITERS = 16;
const ROUNDS = LONG ? 20 : 3;
/** Writes between two deaths. */
const LEAST_WRITES = 40;
const MORE_WRITES = 160;

describe('processes that die at any moment under sixteen writers', () => {
  let system: System;
  beforeAll(async () => {
    system = await startSystem('services', {}, ['projections', 'command-api']);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it(
    'lose nothing that was acknowledged, and do nothing twice',
    ...within(
      LONG ? 900 : 300,
      () => Object.values(system.processes),
      async () => {
        const seed = newSeed('faults');
        const random = randomFrom(seed);
        const crowd = await Crowd.start(system, WRITERS, seed);
        const someWrites = (): number => LEAST_WRITES + Math.floor(random() * MORE_WRITES);
        await crowd.untilAcknowledged(someWrites());
        // Each dies at least once, then whoever the dice name.
        const victims = ['eventstore', 'projections', 'command-api'];
        for (let round = 0; round < ROUNDS; round += 1) {
          const victim = system.processes[round < victims.length ? victims[round]! : oneOf(random, victims)]!;
          await victim.kill();
          const startMs = await timed(`${victim.name} to start again`, async () => victim.start().then(() => true));
          await crowd.untilAcknowledged(someWrites());
          report(`round ${round + 1}: killed ${victim.name}, listening again after ${startMs} ms`);
        }
        await crowd.stop();
        await crowd.expectNothingLostNorDoubled();
      },
    ),
  );
});
