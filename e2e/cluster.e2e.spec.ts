import { waitFor } from '@balados/testing';
import { Crowd } from './support/crowd';
import { LONG, newSeed, report, within } from './support/limits';
import { nginxOrNone, PROXIED } from './support/nginx';
import { ServiceProcess } from './support/service-process';
import { copyOf, waitUntilReady } from './support/services';
import { Steady } from './support/steady';
import { startSystem, System } from './support/system';

const ADMIN_TOKEN = 'a token of the operators, of many letters'.replaceAll(' ', '-');
const WRITERS = 3;
const CLIENTS = 2;
const SERVICES = ['command-api', 'public-api', 'rss-proxy', 'play-gateway', 'projections', 'jobs'] as const;
/** Requests and writes between one end of a process and the next. */
const ANSWERS = LONG ? 400 : 40;
const WRITES = LONG ? 100 : 10;
/** A short run kills one copy of each service, and has the other stop in order. */
const [KILLED, ROLLED] = LONG
  ? [
      [1, 2],
      [1, 2],
    ]
  : [[1], [2]];

const suite = nginxOrNone() ? describe : describe.skip;

suite('two copies of each service behind nginx', () => {
  let system: System;
  let crowd: Crowd;
  let steady: Steady;

  beforeAll(async () => {
    system = await startSystem('cluster', { ADMIN_TOKEN });
    [crowd, steady] = await Promise.all([
      Crowd.start(system, WRITERS, newSeed('cluster')),
      Steady.start(system, CLIENTS),
    ]);
  }, 120_000);
  afterAll(async () => {
    await crowd?.stop().catch(() => undefined);
    await steady?.stop();
    await system?.stop();
  }, 120_000);
  const inTime = (seconds: number, body: () => Promise<void>) =>
    within(seconds, () => Object.values(system.processes), body);

  it(
    'show operators all of them at one address, whichever copy is asked',
    ...inTime(30, async () => {
      const at = (path: string): string => `${system.listeners}/dashboard${path}`;
      const bearer = { authorization: `Bearer ${ADMIN_TOKEN}` };
      const { status, headers } = await fetch(at('/login'), {
        method: 'POST',
        redirect: 'manual',
        headers: { origin: system.listeners },
        body: new URLSearchParams({ token: ADMIN_TOKEN }),
      });
      expect(status).toBe(303);
      const cookie = headers.getSetCookie()[0]!.split(';')[0]!;
      for (const how of [{ cookie }, { cookie }, bearer, bearer]) {
        const { sections } = (await (await fetch(at('/snapshot'), { headers: { ...how } })).json()) as {
          sections: { services: { services: { name: string; state: string }[] }; log: object };
        };
        expect(sections.services.services.map(({ name, state }) => `${name}: ${state}`).sort()).toEqual(
          [
            ...SERVICES.filter((name) => name !== 'jobs').flatMap((name) => [`${name}-2: ready`, `${name}: ready`]),
            'jobs (this copy): ready',
          ].sort(),
        );
        expect(sections.log).toEqual({ position: expect.any(String) });
      }
      const { body } = await fetch(at('/events'), { headers: bearer });
      const told = body!.pipeThrough(new TextDecoderStream()).getReader();
      let text = '';
      while (!text.includes('event: snapshot')) text += (await told.read()).value;
      await told.cancel();
    }),
  );

  const traffic = (): Promise<unknown> => Promise.all([steady.untilAnswered(ANSWERS), crowd.untilAcknowledged(WRITES)]);

  /** It is ready, and where the proxy knows it, has been given requests again. */
  async function isBack(service: string, { url }: ServiceProcess): Promise<void> {
    await waitUntilReady(url);
    // The operators' one is asked by nobody here.
    if (service === 'jobs' || !PROXIED.includes(service as (typeof PROXIED)[number])) return;
    await waitFor(
      async () => {
        // Who does not say who asks is asked of any copy.
        await fetch(`${system.listeners}/api/v1/subscriptions`).catch(() => undefined);
        const metrics = await (await fetch(`${url}/metrics`)).text();
        const routes = [
          ...metrics.matchAll(
            /^(?:http_request_duration_seconds_count\{.*route="\/api[^"]*".*\}|play_links_total\{.*\}) (\d+)$/gm,
          ),
        ];
        return routes.reduce((sum, [, count]) => sum + Number(count), 0) > 0;
      },
      { what: `${service} to be given requests again` },
    );
  }

  it(
    'answer while one after the other is killed and comes back: who asks once more is served',
    ...inTime(LONG ? 900 : 120, async () => {
      await traffic();
      for (const copy of KILLED)
        for (const service of SERVICES) {
          const victim = system.processes[copyOf(service, copy)]!;
          await victim.kill();
          await traffic();
          await victim.start();
          await isBack(service, victim);
        }
      report(`killed: ${steady.answered} answered, asked again for ${steady.failed.length}`);
      expect(steady.failedTwice).toEqual([]);
    }),
  );

  it(
    'answer everything at once while each is stopped in order and started again, one copy after the other',
    ...inTime(LONG ? 900 : 120, async () => {
      await traffic();
      const before = [steady.failed.length, crowd.unavailable];
      for (const copy of ROLLED) {
        await Promise.all(
          SERVICES.map(async (service) => {
            const process = system.processes[copyOf(service, copy)]!;
            expect(await process.stop()).toBe(0);
            await process.start();
            await isBack(service, process);
          }),
        );
        await traffic();
      }
      report(`rolled: ${steady.answered} answered, ${crowd.acknowledged} writes acknowledged`);
      expect(steady.failed.slice(before[0])).toEqual([]);
      expect(crowd.unavailable).toBe(before[1]);
    }),
  );

  it(
    'have lost nothing by then, and done nothing twice',
    ...inTime(90, async () => {
      await steady.stop();
      await crowd.stop();
      // Deliveries come to their end first: they are events, too.
      await steady.expectEveryPlayRecorded();
      await crowd.expectNothingLostNorDoubled();
    }),
  );
});
