import { randomBytes } from 'node:crypto';
import { waitFor } from '@balados/testing';
import { Browser, BrowserContext, chromium, Page } from 'playwright-core';
import { AXE, chromiumOrNone, CHROMIUM_FLAGS, flawsOf, SCREENS } from './support/browser';
import { Device, newListener } from './support/client';
import { within } from './support/limits';
import { family } from './support/processes';
import { startSystem, System } from './support/system';

const ADMIN_TOKEN = randomBytes(24).toString('hex');
const FEED = 'https://feeds.example/secret-path/a.xml';
const ITEM = 'guid-1,https://media.example/1.mp3';
const WRONG_PER_MINUTE = 3;
/** As apps/jobs/src/dashboard/viewers.ts has it. */
const VIEWERS_MAX = 20;
/** A folder for pictures of what is tested, for whoever wants to look at them. */
const PICTURES = process.env['DASHBOARD_PICTURES'];

let system: System;
let device: Device;
beforeAll(async () => {
  system = await startSystem('standalone', {
    ADMIN_TOKEN,
    RATE_LOGIN_FAILED: String(WRONG_PER_MINUTE),
    TRUSTED_PROXIES: '127.0.0.1',
    JOBS_EVERY: '1',
  });
  // Two listeners make a podcast public.
  const other = await newListener(system.listeners);
  device = await newListener(system.listeners);
  for (const one of [device, other]) {
    await one.subscribe(FEED);
    await one.play(FEED, ITEM, 30);
  }
}, 120_000);
afterAll(async () => {
  await system?.stop();
}, 120_000);

const inTime = (seconds: number, body: () => Promise<void>) =>
  within(seconds, () => Object.values(system.processes), body);

let addresses = 0;
/** Each from an address of its own, so that nobody is limited for what another did. */
const somebody = (): Record<string, string> => ({ 'x-forwarded-for': `203.0.113.${(addresses += 1)}` });
const at = (path: string): string => `${system.listeners}/dashboard${path}`;
const ask = (path: string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(at(path), { headers: { ...somebody(), ...headers }, redirect: 'manual' });
const sendForm = (
  path: string,
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Response> =>
  fetch(at(path), {
    method: 'POST',
    redirect: 'manual',
    headers: { ...somebody(), ...headers },
    body: new URLSearchParams(fields),
  });
const bearer = { authorization: `Bearer ${ADMIN_TOKEN}` };

describe('who may see the dashboard', () => {
  it(
    'is nobody without the token: people are led to the login, programs are told',
    ...inTime(20, async () => {
      const page = await ask('');
      expect([page.status, page.headers.get('location')]).toEqual([303, '/dashboard/login']);
      for (const path of ['/events', '/snapshot'])
        for (const [header, value] of [
          ['accept', 'text/html'],
          ['cookie', `balados_dashboard=${Date.now() + 1e6}.${'a'.repeat(22)}.${'a'.repeat(43)}`],
          ['authorization', `Bearer ${ADMIN_TOKEN}x`],
          ['authorization', `Bearer ${device.token}`],
        ] as const) {
          const answer = await ask(path, { [header]: value });
          expect([path, answer.status, await answer.json()]).toEqual([
            path,
            401,
            expect.objectContaining({ code: 'admin_required' }),
          ]);
        }
    }),
  );

  it(
    'is whoever sends it: in each request, or once by the form, and then a cookie that does not hold it',
    ...inTime(20, async () => {
      expect((await ask('/snapshot', bearer)).status).toBe(200);
      const entered = await sendForm('/login', { token: ADMIN_TOKEN });
      expect([entered.status, entered.headers.get('location')]).toEqual([303, '/dashboard']);
      const [set] = entered.headers.getSetCookie();
      expect(set).toMatch(/^balados_dashboard=[\w.-]+; Path=\/dashboard; Max-Age=43200; HttpOnly; SameSite=Strict$/);
      expect(set).not.toContain(ADMIN_TOKEN);
      const cookie = set!.split(';')[0]!;
      expect((await ask('/snapshot', { cookie })).status).toBe(200);
      expect((await ask('', { cookie })).status).toBe(200);
      const secure = await sendForm('/login', { token: ADMIN_TOKEN }, { 'x-forwarded-proto': 'https' });
      expect(secure.headers.getSetCookie()[0]).toMatch(/; Secure$/);
      const left = await sendForm('/logout', {}, { cookie });
      expect([left.status, left.headers.getSetCookie()[0]]).toEqual([303, expect.stringContaining('Max-Age=0')]);
      for (const { lines } of Object.values(system.processes)) expect(lines.join()).not.toContain(ADMIN_TOKEN);
    }),
  );

  it(
    'is not who tries, and then not even with the token for a minute, from that address',
    ...inTime(20, async () => {
      const address = somebody();
      for (let wrong = 0; wrong < WRONG_PER_MINUTE; wrong += 1) {
        const refused = await sendForm('/login', { token: 'a guess' }, address);
        expect([refused.status, refused.headers.getSetCookie()]).toEqual([401, []]);
        expect(await refused.text()).toContain('role="alert">This is not the admin token.');
      }
      const limited = await sendForm('/login', { token: ADMIN_TOKEN }, address);
      expect([limited.status, Number(limited.headers.get('retry-after')) > 0]).toEqual([429, true]);
      expect((await ask('/snapshot', { ...address, ...bearer })).status).toBe(429);
      expect((await sendForm('/login', { token: ADMIN_TOKEN })).status).toBe(303);
    }),
  );

  it(
    "is not a page of another site's, whose forms are refused",
    ...inTime(20, async () => {
      for (const [header, value] of [
        ['sec-fetch-site', 'cross-site'],
        ['origin', 'https://elsewhere.example'],
        ['origin', 'null'],
      ] as const)
        for (const path of ['/login', '/logout'])
          expect((await sendForm(path, { token: ADMIN_TOKEN }, { [header]: value })).status).toBe(403);
      const { headers } = await ask('/login', { origin: 'https://elsewhere.example' });
      expect(headers.get('access-control-allow-origin')).toBeNull();
      expect(headers.get('content-security-policy')).toMatch(
        /^default-src 'none'; script-src 'self'; style-src 'self';/,
      );
      expect([headers.get('cache-control'), headers.get('x-frame-options')]).toEqual(['no-store', 'DENY']);
    }),
  );
});

describe('what it tells', () => {
  it(
    'is the system as it is, and nothing of who listens',
    ...inTime(30, async () => {
      // What is expected of it is said below, by looking at it.
      // eslint-disable-next-line @typescript-eslint/no-explicit-any
      let sections: any;
      await waitFor(
        async () => {
          ({ sections } = (await (await ask('/snapshot', bearer)).json()) as { sections: typeof sections });
          const { figures, popularity, jobs } = sections;
          return figures.recorded === 4 && popularity.podcasts[0]?.score === 30 && jobs.runs.length > 5;
        },
        { what: 'what was done to be counted and jobs to have run' },
      );
      expect(sections).toMatchObject({
        log: { position: expect.stringMatching(/^\d{10,}$/) },
        figures: { recorded: 4, kept: 4, active: { '1h': 2, '24h': 2 }, logBytes: expect.any(Number) },
        popularity: { podcasts: [{ host: 'feeds.example', score: 30, plays: 2 }] },
      });
      expect(sections.projections.projectors).toEqual(
        ['users', 'site'].map((projector) =>
          expect.objectContaining({ projector, segments: 4, unheld: 0, stopped: [], lagEvents: 0, lagSeconds: 0 }),
        ),
      );
      expect(sections.services.services.map(({ name, state }: Record<string, string>) => `${name} ${state}`)).toEqual(
        ['projections', 'command-api', 'public-api', 'rss-proxy', 'play-gateway', 'jobs'].map(
          (name) => `${name} ready`,
        ),
      );
      const said = JSON.stringify(sections);
      for (const secret of [device.userId, 'secret-path', 'the phone', 'listener-']) expect(said).not.toContain(secret);
      const metrics = await (await fetch(`${system.listeners}/metrics`)).text();
      for (const figure of ['listeners_active{window="1h",service="jobs"} 2', 'store_events{service="jobs"} 4'])
        expect(metrics.split('\n')).toContain(figure);
    }),
  );

  it(
    'comes as events with an id, to so many at a time',
    ...inTime(30, async () => {
      const look = (): Promise<Response> => ask('/events', bearer);
      const looking = await Promise.all(Array.from({ length: VIEWERS_MAX }, look));
      expect(looking.map(({ status }) => status)).toEqual(looking.map(() => 200));
      expect(looking[0]!.headers.get('content-type')).toBe('text/event-stream');
      const busy = await look();
      expect([busy.status, busy.headers.get('retry-after')]).toEqual([503, '2']);
      let text = '';
      for await (const piece of looking[0]!.body!.pipeThrough(new TextDecoderStream())) {
        text += piece;
        if ((text.match(/event: snapshot/g) ?? []).length > 1 && text.endsWith('\n\n')) break;
      }
      expect(text).toMatch(/^retry: \d+\n\nevent: history\ndata: \[.*\]\n\n/);
      const ids = [...text.matchAll(/^id: (\w+-\d+)\nevent: snapshot\ndata: \{/gm)].map(([, id]) => id);
      expect(new Set(ids).size).toBeGreaterThan(1);
      // Of those who stay one reads nothing.
      const [, , ...leaving] = looking;
      await Promise.all(leaving.map(({ body }) => body!.cancel()));
      await waitFor(
        async () => {
          const { status, body } = await look();
          await body!.cancel();
          return status === 200;
        },
        { what: 'room for others when they have left' },
      );
    }),
  );
});

const program = chromiumOrNone();
const inBrowser = program ? describe : describe.skip;

inBrowser('in a browser', () => {
  let browser: Browser;
  let context: BrowserContext;
  let page: Page;
  const complaints: string[] = [];
  beforeAll(async () => {
    browser = await chromium.launch({ executablePath: program, args: CHROMIUM_FLAGS });
    context = await browser.newContext(SCREENS.desktop);
    page = await context.newPage();
  }, 60_000);
  afterAll(() => browser?.close());

  const textOf = async (id: string): Promise<string> => (await page.locator(`#${id}`).textContent()) ?? '';
  const isLive = (on: Page): Promise<unknown> =>
    waitFor(async () => /^\d+$/.test((await on.locator('#events').textContent()) ?? ''), {
      what: 'figures on the page',
    });

  it(
    'a login by keyboard alone leads to the figures, which change as things happen',
    ...inTime(60, async () => {
      await page.goto(at(''));
      expect(page.url()).toBe(at('/login'));
      await page.keyboard.press('Tab');
      await page.keyboard.type('a guess');
      await page.keyboard.press('Enter');
      await page.getByRole('alert').waitFor();
      page.on('console', (said) => said.type() === 'error' && complaints.push(said.text()));
      page.on('pageerror', (error) => complaints.push(error.message));
      await page.getByLabel('Admin token').focus();
      await page.keyboard.type(ADMIN_TOKEN);
      await page.keyboard.press('Enter');
      await isLive(page);
      expect(await textOf('state')).toBe('Connected.');
      expect([await textOf('events'), await textOf('hour'), await textOf('day')]).toEqual(['4', '2', '2']);
      expect(await textOf('popularity')).toContain('feeds.example');
      expect(await textOf('services')).toContain('command-apiready');
      await device.play(FEED, ITEM, 60);
      await newListener(system.listeners).then((newcomer) => newcomer.play(FEED, ITEM, 1));
      await waitFor(async () => (await textOf('events')) === '6' && (await textOf('hour')) === '3', {
        what: 'what happened to be on the page',
      });
      await waitFor(async () => /\+5/.test(await textOf('popularity')), {
        what: 'the podcast to have grown on the page',
      });
      const label = await page.locator('#events-plot svg').getAttribute('aria-label');
      expect(label).toMatch(/^Events in the store: from 4 to 6 in \d minutes$/);
      expect(await page.content()).not.toMatch(/secret-path|[0-9a-f]{8}-[0-9a-f]{4}-/);
    }),
  );

  it(
    'everything is reached by the keyboard, and the page can be told to stand still',
    ...inTime(30, async () => {
      await page.evaluate('document.activeElement.blur()');
      const reached: string[] = [];
      for (let step = 0; step < 9; step += 1) {
        await page.keyboard.press('Tab');
        reached.push(
          await page.evaluate<string>(
            `(({ textContent, tagName, attributes }) =>
               tagName === 'DIV' ? attributes['aria-labelledby'].value : textContent)(document.activeElement)`,
          ),
        );
      }
      expect(reached).toEqual([
        ...['Skip to the figures', 'Pause', 'Log out'],
        ...['services', 'projections', 'popularity', 'jobs', 'runs'].map((id) => `${id}-title`),
        expect.anything(),
      ]);
      await page.locator('#pause').focus();
      await page.keyboard.press('Space');
      expect(await page.locator('#pause').getAttribute('aria-pressed')).toBe('true');
      const before = await textOf('updated');
      const seen = page.waitForEvent('console');
      await page.evaluate(
        `new EventSource('/dashboard/events').addEventListener('snapshot', ({ target }) => { target.close(); console.log('snapshot') })`,
      );
      await seen;
      expect([await textOf('updated'), await textOf('state')]).toEqual([before, 'Paused.']);
      await page.keyboard.press('Space');
      await waitFor(async () => (await textOf('state')) === 'Connected.', { what: 'the page to go on' });
    }),
  );

  it(
    'is readable: no violation of what axe knows, light and dark, wide and on a phone, where nothing runs over the edge',
    ...inTime(60, async () => {
      const storageState = await context.storageState();
      for (const [name, shape] of Object.entries(SCREENS)) {
        const own = await browser.newContext({ ...shape, storageState });
        await own.addInitScript(AXE);
        const shown = await own.newPage();
        for (const path of ['', '/login']) {
          await shown.goto(at(path));
          if (path === '') await isLive(shown);
          for (const colorScheme of ['light', 'dark'] as const) {
            const found = await flawsOf(shown, colorScheme);
            expect([name, colorScheme, path, found]).toEqual([name, colorScheme, path, []]);
            if (PICTURES)
              await shown.screenshot({ path: `${PICTURES}${path}-${name}-${colorScheme}.png`, fullPage: true });
          }
        }
        await own.close();
      }
    }),
  );

  it(
    'says that the event store is away, stays, and goes on when it is back',
    ...inTime(60, async () => {
      const { standalone } = system.processes;
      const [store] = family(standalone!.pid, system.env['DATA_DIR']!).filter(({ command }) =>
        command.includes('standalone/eventstore.js'),
      );
      process.kill(store!.pid, 'SIGSTOP');
      try {
        await waitFor(async () => /not everything answers/.test(await textOf('state')), { what: 'the page to say so' });
        expect(await textOf('events-more')).toMatch(
          /event store: (No answer within 3 s|The event store does not answer)/,
        );
        // What Postgres knows is shown as before.
        expect([await textOf('events'), await textOf('jobs')]).toEqual([
          expect.stringMatching(/^\d+$/),
          expect.stringContaining('checkpoint'),
        ]);
      } finally {
        process.kill(store!.pid, 'SIGCONT');
      }
      await waitFor(async () => (await textOf('state')) === 'Connected.', {
        what: 'the page to say so',
        timeoutMs: 30_000,
      });
    }),
  );

  it(
    'a log-out ends it, in every window',
    ...inTime(30, async () => {
      expect(complaints).toEqual([]);
      const other = await context.newPage();
      await other.goto(at(''));
      await other.getByRole('button', { name: 'Log out' }).click();
      await other.getByLabel('Admin token').waitFor();
      await other.goto(at(''));
      expect(other.url()).toBe(at('/login'));
      // Which comes back once, is refused, and looks again.
      await page.waitForURL(at('/login'), { timeout: 20_000 });
    }),
  );
});

it(
  'a service that is told to stop does so while people look, those included who do not read what they are told',
  ...inTime(60, async () => {
    const { body, status } = await fetch(at('/events'), { headers: bearer });
    expect(status).toBe(200);
    const read = (async () => {
      for await (const _piece of body!) continue;
      return 'the end';
    })();
    expect(await system.processes['standalone']!.stop()).toBe(0);
    expect(await read).toBe('the end');
  }),
);
