import { setTimeout as delay } from 'node:timers/promises';
import { createDatabase, TestDatabase, waitFor } from '@balados/testing';
import { base64, base64Url, Device, newListener } from './support/client';
import { Crowd, SHARED_FEEDS } from './support/crowd';
import { Door } from './support/door';
import { LONG, newSeed, report, timed, within } from './support/limits';
import { nginxOrNone } from './support/nginx';
import { Steady } from './support/steady';
import { startSystem, System } from './support/system';

const WRITERS = 3;
const CLIENTS = 2;
const WRITES = 30;
/** How long something is gone, and how long it says nothing, in milliseconds. */
const AWAY_MS = 60_000;
const SILENT_MS = 30_000;
/** Whatever the stores do, an answer is there within this time, in milliseconds. */
const ANSWER_LIMIT_MS = 30_000;
/** What is hidden is gone from all answers within this time, in milliseconds, as far as caches go. */
const HIDDEN_LIMIT_MS = 30_000;
const ROUND_PAUSE_MS = 500;
const PUBLIC_READS = ['trending/podcasts', 'timeline'];

/** lifecycle.e2e.spec.ts has the short ones, on one copy of each. */
const suite = LONG && nginxOrNone() ? describe : describe.skip;

interface Seen {
  what: string;
  /** Milliseconds since the store failed, and those that the answer took. */
  at: number;
  ms: number;
  status: number;
  headers: Headers;
  text: string;
}

suite('two copies of each service behind nginx, whose stores go away for long', () => {
  let database: TestDatabase;
  let postgres: Door;
  let system: System;
  let crowd: Crowd;
  let steady: Steady;
  let ada: Device;

  beforeAll(async () => {
    database = await createDatabase();
    const url = new URL(database.url);
    postgres = await new Door({ host: url.hostname, port: Number(url.port) }).open();
    url.host = `127.0.0.1:${postgres.port}`;
    // The log keeps its own way to its own database.
    const env = { USERS_DATABASE_URL: url.href, SITE_DATABASE_URL: url.href };
    system = { ...(await startSystem('cluster', env)), database: database.url };
    [crowd, steady] = await Promise.all([
      Crowd.start(system, WRITERS, newSeed('outages')),
      Steady.start(system, CLIENTS),
    ]);
    ada = await newListener(system.listeners);
    expect((await ada.play(SHARED_FEEDS[0]!, 'guid,https://media.example/ada.mp3', 1)).status).toBe(200);
  }, 120_000);
  afterAll(async () => {
    await postgres?.open();
    await crowd?.stop().catch(() => undefined);
    await steady?.stop();
    await system?.stop();
    await postgres?.shut();
    await database?.drop();
  }, 120_000);

  const store = () => system.processes['eventstore']!;
  const copies = () => ['public-api', 'public-api-2'].map((name) => system.processes[name]!.url);
  const publicRead = async (base: string, path: string) => fetch(`${base}/api/v1/public/${path}`);

  /** Ada shows herself, both copies have said so; then she hides. @returns when that was acknowledged */
  async function hide(): Promise<number> {
    expect((await ada.send('PUT', '/privacy', { privacy: 'public', feed: base64(SHARED_FEEDS[0]!) })).status).toBe(200);
    for (const base of copies())
      await waitFor(
        async () => {
          // Both addresses, so that both answers are kept.
          const [trending] = await Promise.all(PUBLIC_READS.map(async (path) => (await publicRead(base, path)).text()));
          return trending!.includes(ada.userId);
        },
        { what: `${base} to name her` },
      );
    const hidden = await ada.send('PUT', '/privacy', { privacy: 'private', feed: base64(SHARED_FEEDS[0]!) });
    expect(hidden.status).toBe(200);
    return performance.now();
  }

  /** Asks for everything again and again until `lastsMs` after it began. */
  async function ask(lastsMs: number): Promise<Seen[]> {
    const seen: Seen[] = [];
    const start = performance.now();
    const note = async (what: string, answer: Promise<{ status: number; headers: Headers; text: string }>) => {
      const at = performance.now() - start;
      const { status, headers, text } = await answer;
      seen.push({ what, at, ms: performance.now() - start - at, status, headers, text });
    };
    const own = async (sent: ReturnType<Device['send']>) => {
      const { status, headers, body } = await sent;
      return { status, headers, text: JSON.stringify(body) };
    };
    const read = async (path: string) => {
      const answer = await publicRead(system.public, path);
      return { status: answer.status, headers: answer.headers, text: await answer.text() };
    };
    const rounds: Promise<unknown>[] = [];
    for (let round = 0; performance.now() - start < lastsMs; round += 1) {
      rounds.push(
        note('write', own(ada.play(SHARED_FEEDS[1]!, 'guid,https://media.example/1.mp3', round))),
        note('own read', own(ada.get('/subscriptions'))),
        ...PUBLIC_READS.map((path) => note(path, read(path))),
      );
      await delay(ROUND_PAUSE_MS);
    }
    await Promise.all(rounds);
    return seen;
  }

  it.each<[string, number, { fail: () => unknown; mend: () => unknown; isPostgres: boolean }]>([
    [
      'the event store is away',
      AWAY_MS,
      { fail: () => store().kill(), mend: () => store().start(), isPostgres: false },
    ],
    [
      'the event store is frozen',
      SILENT_MS,
      { fail: () => store().signal('SIGSTOP'), mend: () => store().signal('SIGCONT'), isPostgres: false },
    ],
    ['Postgres is away', AWAY_MS, { fail: () => postgres.shut(), mend: () => postgres.open(), isPostgres: true }],
    ['Postgres is silent', SILENT_MS, { fail: () => postgres.hold(), mend: () => postgres.open(), isPostgres: true }],
  ])(
    '%s: writes are refused in time, public reads and play links go on, and all recovers by itself',
    async (name, lastsMs, { fail, mend, isPostgres }) => {
      const body = async (): Promise<void> => {
        await crowd.untilAcknowledged(WRITES);
        const hiddenAt = await hide();
        const linksBefore = steady.redirected.size;
        const failedBefore = steady.failed.length;
        await fail();
        const began = performance.now();
        const seen = await ask(lastsMs).finally(mend);
        const recovered = await timed(
          'a write',
          async () => (await ada.subscribe(`https://x.example/${began}`)).status === 200,
        );

        for (const { what, ms, status, headers } of seen) {
          expect([what, ms < ANSWER_LIMIT_MS]).toEqual([what, true]);
          if (status !== 200) {
            expect([what, status]).toEqual([what, 503]);
            expect(Number(headers.get('retry-after'))).toBeGreaterThan(0);
          }
        }
        const of = (...whats: string[]) => seen.filter(({ what }) => whats.includes(what));
        expect(of('write').filter(({ status }) => status === 503).length).toBeGreaterThan(0);
        const reads = of(...PUBLIC_READS);
        expect(reads.filter(({ status }) => status !== 200)).toEqual([]);
        if (isPostgres) {
          expect(reads.filter(({ headers }) => headers.get('balados-stale')).length).toBeGreaterThan(0);
          const named = reads.filter(({ text }) => text.includes(ada.userId));
          expect(named.length).toBeGreaterThan(0);
          const latest = Math.max(...named.map(({ at }) => at + began));
          expect(latest).toBeLessThan(hiddenAt + HIDDEN_LIMIT_MS);
        }
        if (isPostgres && lastsMs > HIDDEN_LIMIT_MS) expect(reads.at(-1)!.headers.get('balados-withheld')).toBe('true');
        // Signed links need nobody.
        expect(steady.failed.slice(failedBefore).filter((text) => text.startsWith('guid-'))).toEqual([]);
        expect(steady.redirected.size).toBeGreaterThan(linksBefore);

        await crowd.untilAcknowledged(WRITES);
        for (const { url } of Object.values(system.processes).filter((each) => each !== store()))
          await waitFor(async () => (await fetch(`${url}/readyz`)).ok, { what: `${url} to be ready` });
        await waitFor(
          async () => {
            for (const path of PUBLIC_READS) {
              const { status, headers } = await publicRead(system.public, path);
              if (status !== 200 || headers.get('balados-stale') || headers.get('balados-withheld')) return false;
            }
            return true;
          },
          { what: 'public reads as ever' },
        );
        const slowest = Object.fromEntries(
          ['write', 'own read', ...PUBLIC_READS].map((what) => [
            what,
            Math.round(Math.max(...of(what).map(({ ms }) => ms))),
          ]),
        );
        const refused = seen.filter(({ status }) => status === 503).length;
        report(
          `${name} for ${lastsMs / 1_000} s: ${refused} of ${seen.length} refused, slowest, ms: ${JSON.stringify(slowest)}; ` +
            `${steady.redirected.size - linksBefore} links; a write ${recovered} ms later`,
        );
      };
      await within(240, () => Object.values(system.processes), body)[0]();
    },
    245_000,
  );

  it(
    'nothing is lost by then, and nothing done twice',
    ...within(
      150,
      () => Object.values(system.processes),
      async () => {
        await steady.stop();
        await crowd.stop();
        // She counts again.
        expect((await ada.send('DELETE', `/privacy?feed=${base64Url(SHARED_FEEDS[0]!)}`)).status).toBe(200);
        // Deliveries come to their end first: they are events, too.
        await steady.expectEveryPlayRecorded();
        await crowd.expectNothingLostNorDoubled();
      },
    ),
  );
});
