import { Agent, createServer, IncomingHttpHeaders, request as httpRequest, Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { waitFor } from '@balados/testing';
import { Browser, BrowserContextOptions, chromium, Page } from 'playwright-core';
import { AXE, chromiumOrNone, CHROMIUM_FLAGS, flawsOf, SCREENS } from './support/browser';
import { Credentials, Device, login, register } from './support/client';
import { withSql } from './support/comparison';
import { within } from './support/limits';
import { ServiceProcess } from './support/service-process';
import { KINDS, startSystem, System } from './support/system';

const WRONG_PER_MINUTE = 3;
/** As apps/command-api/src/nextcloud/login.controller.ts has them. */
const FLOWS_PER_ADDRESS = 60;
const FLOWS_PER_SITE = 300;
const POLLS_PER_ADDRESS = 600;
const FORM = 'application/x-www-form-urlencoded';
/** A folder for pictures of the page, for whoever wants to look at it. */
const PICTURES = process.env['LOGIN_PICTURES'];
const program = chromiumOrNone();

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  text: string;
  // The tests say what they expect of a body by looking at it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  json: any;
}

const agent = new Agent({ keepAlive: true });
let addresses = 0;
/** Each flow from an address of its own, so that nobody is limited for what another did. */
const somebody = (): string => `198.51.${Math.floor((addresses += 1) / 250)}.${addresses % 250}`;

/** A request past fetch, which has a mind of its own about some headers and paths. */
function send(
  url: string,
  { method = 'POST', body, headers = {} }: { method?: string; body?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const [, hostname, port, path] = /^http:\/\/([^/:]+):(\d+)(.*)$/.exec(url)!;
  const length = body === undefined ? {} : { 'content-length': String(Buffer.byteLength(body)) };
  return new Promise((resolve, reject) => {
    const sent = httpRequest(
      { agent, hostname, port, path, method, headers: { 'x-forwarded-for': somebody(), ...length, ...headers } },
      (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (piece: string) => (text += piece));
        answer.on('end', () => {
          const isJson = /json/.test(answer.headers['content-type'] ?? '');
          resolve({
            status: answer.statusCode!,
            headers: answer.headers,
            text,
            json: isJson ? JSON.parse(text) : undefined,
          });
        });
      },
    );
    sent.on('error', reject).end(body);
  });
}

interface Flow {
  token: string;
  endpoint: string;
  login: string;
}

/** As AntennaPod does it: all of it is called a form. */
const ANTENNAPOD = {
  begin: (base: string, headers = {}): Promise<Answer> =>
    send(`${base}/index.php/login/v2`, {
      body: '',
      headers: { 'content-type': FORM, 'user-agent': 'AntennaPod/3.7.0', ...headers },
    }),
  poll: ({ endpoint, token }: Flow, headers = {}): Promise<Answer> =>
    send(endpoint, { body: `token=${token}`, headers: { 'content-type': FORM, ...headers } }),
};
/** As Cardo does it: JSON, after one slash too many. */
const CARDO = {
  begin: (base: string): Promise<Answer> => send(`${base}//index.php/login/v2`),
  poll: ({ endpoint, token }: Flow): Promise<Answer> =>
    send(endpoint, { body: JSON.stringify({ token }), headers: { 'content-type': 'application/json' } }),
};
const flowOf = ({ json }: Answer): Flow => ({ ...json.poll, login: json.login });

const basic = ({ username, password }: Credentials): { authorization: string } => ({
  authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`,
});

/** The page in a browser without script: its cookie, and what its forms carry. */
async function open(address: string): Promise<Answer & { cookie: string; formToken: string }> {
  const answer = await send(address, { method: 'GET' });
  const cookie = answer.headers['set-cookie']?.[0]?.split(';')[0] ?? '';
  return { ...answer, cookie, formToken: /name="form" value="([\w-]+)"/.exec(answer.text)?.[1] ?? '' };
}
const fill = (
  address: string,
  { cookie, formToken }: { cookie: string; formToken: string },
  fields: Record<string, string>,
  headers: Record<string, string> = {},
): Promise<Answer> =>
  send(address, {
    body: new URLSearchParams({ form: formToken, answer: 'grant', ...fields }).toString(),
    headers: { 'content-type': FORM, ...(cookie && { cookie }), ...headers },
  });
const grant = async (address: string, who: Credentials): Promise<Answer> =>
  fill(address, await open(address), { ...who });

describe.each(KINDS)('the login flow on %s', (kind) => {
  let system: System;
  let base: string;
  /** Another copy, which believes no proxy; of one process there is none. */
  let other: ServiceProcess | undefined;
  beforeAll(async () => {
    const env = { RATE_LOGIN_FAILED: String(WRONG_PER_MINUTE) };
    system = await startSystem(kind, { ...env, TRUSTED_PROXIES: '127.0.0.1' }, ['projections', 'command-api']);
    base = system.listeners;
    if (kind !== 'services') return;
    const { TRUSTED_PROXIES: _, ...believingNobody } = system.envOf('command-api');
    other = new ServiceProcess('command-api-2', 'command-api/main', believingNobody);
    system.processes[other.name] = await other.start();
  }, 120_000);
  afterAll(async () => {
    agent.destroy();
    await system?.stop();
  }, 120_000);
  const inTime = (seconds: number, body: () => Promise<void>) =>
    within(seconds, () => Object.values(system.processes), body);
  /** The same at the other copy. */
  const elsewhere = (url: string): string => (other ? url.replace(base, other.url) : url);

  async function listener(): Promise<{ own: Credentials; device: Device }> {
    const own = await register(base);
    return { own, device: await login(base, own) };
  }
  const begin = async (): Promise<Flow> => flowOf(await ANTENNAPOD.begin(base));
  const subscriptions = (server: string, app: Credentials): Promise<Answer> =>
    send(`${server}/index.php/apps/gpoddersync/subscriptions`, { method: 'GET', headers: basic(app) });
  const tokensOf = async (device: Device): Promise<{ id: string; kind: string; name: string }[]> =>
    ((await device.get('/tokens')).body.tokens as { id: string; kind: string; name: string }[]).filter(
      ({ kind }) => kind === 'app',
    );
  const untilRefused = (server: string, app: Credentials): Promise<unknown> =>
    waitFor(async () => (await subscriptions(server, app)).status === 401, {
      what: "the app's password to end",
      timeoutMs: 5_500,
    });

  it(
    'gives AntennaPod a password of its own, which syncs until it is revoked; all copies know of it',
    ...inTime(30, async () => {
      const { own, device } = await listener();
      const begun = await ANTENNAPOD.begin(base);
      expect([begun.status, begun.headers['cache-control']]).toEqual([200, 'no-store']);
      expect(begun.json).toEqual({
        poll: { token: expect.stringMatching(/^[\w-]{43}$/), endpoint: `${base}/index.php/login/v2/poll` },
        login: expect.stringMatching(new RegExp(`^${base}/index\\.php/login/v2/flow/[\\w-]{43}$`)),
      });
      const flow = flowOf(begun);
      expect((await ANTENNAPOD.poll(flow)).status).toBe(404);
      const shown = await open(elsewhere(flow.login));
      expect([shown.status, shown.text]).toEqual([200, expect.stringContaining('>AntennaPod/3.7.0</strong>')]);
      const granted = await fill(elsewhere(flow.login), shown, { ...own });
      expect([granted.status, granted.text]).toEqual([200, expect.stringContaining('The app is connected')]);
      const { status, json, headers } = await ANTENNAPOD.poll(flow);
      expect([status, json, headers['cache-control']]).toEqual([
        200,
        { server: base, loginName: own.username, appPassword: expect.stringMatching(/^\w{6}(?:-\w{6}){3}$/) },
        'no-store',
      ]);
      for (const endpoint of [flow.endpoint, elsewhere(flow.endpoint)])
        expect((await ANTENNAPOD.poll({ ...flow, endpoint })).status).toBe(404);
      expect((await send(flow.login, { method: 'GET' })).status).toBe(404);
      const app = { username: json.loginName, password: json.appPassword };
      expect((await subscriptions(json.server, app)).status).toBe(200);
      const [token] = await tokensOf(device);
      expect(token).toMatchObject({ kind: 'app', name: 'AntennaPod/3.7.0' });
      expect((await device.send('DELETE', `/tokens/${token!.id}`)).status).toBe(200);
      await untilRefused(json.server, app);
      const said = Object.values(system.processes).flatMap(({ lines }) => lines);
      for (const secret of [flow.token, flow.login.split('/').at(-1)!, app.password, own.password])
        expect(said.filter((line) => line.includes(secret))).toEqual([]);
    }),
  );

  it(
    'gives Cardo one in JSON, which it ends itself when it is disconnected',
    ...inTime(30, async () => {
      const { own, device } = await listener();
      const flow = flowOf(await CARDO.begin(base));
      expect([flow.endpoint, (await CARDO.poll(flow)).status]).toEqual([`${base}/index.php/login/v2/poll`, 404]);
      const { text } = await grant(flow.login, own);
      expect(text).toContain('The app is connected');
      const { json } = await CARDO.poll(flow);
      const app = { username: json.loginName, password: json.appPassword };
      expect((await subscriptions(base, app)).status).toBe(200);
      expect(await tokensOf(device)).toMatchObject([{ name: 'An app without a name' }]);
      const end = (headers: Record<string, string>): Promise<Answer> =>
        send(`${base}/ocs/v2.php/core/apppassword`, { method: 'DELETE', headers });
      const asked = { 'ocs-apirequest': 'true' };
      expect((await end(asked)).status).toBe(401);
      expect((await end(basic(app))).status).toBe(400);
      expect((await end({ ...asked, ...basic(own) })).status).toBe(403);
      expect((await subscriptions(base, app)).status).toBe(200);
      const ended = await end({ ...asked, ...basic(app) });
      expect([ended.status, ended.json.ocs.meta]).toEqual([200, { status: 'ok', statuscode: 200, message: 'OK' }]);
      expect((await subscriptions(base, app)).status).toBe(401);
      expect(await tokensOf(device)).toEqual([]);
      await untilRefused(elsewhere(base), app);
    }),
  );

  it(
    'takes a wrong password as seldom as any, says so on the page, and grants nothing',
    ...inTime(20, async () => {
      const { own } = await listener();
      const flow = await begin();
      const shown = await open(flow.login);
      const attempt = (password: string): Promise<Answer> =>
        fill(flow.login, shown, { username: own.username, password });
      for (let wrong = 0; wrong < WRONG_PER_MINUTE; wrong += 1) {
        const refused = await attempt('a guess of mine');
        expect([refused.status, refused.headers['www-authenticate']]).toEqual([401, undefined]);
        expect(refused.text).toContain('role="alert">Username and password do not belong together.');
        expect(refused.text).toContain(`value="${own.username}"`);
        expect(refused.text).not.toContain('a guess of mine');
        // As often as it likes: to ask is no attempt.
        expect((await ANTENNAPOD.poll(flow)).status).toBe(404);
      }
      const limited = await attempt(own.password);
      expect([limited.status, Number(limited.headers['retry-after']) > 0]).toEqual([429, true]);
      expect(limited.text).toContain('role="alert">Too many wrong passwords for this account');
      expect((await ANTENNAPOD.poll(flow)).status).toBe(404);
    }),
  );

  it(
    'takes a form of its own page alone: with the cookie of that browser, of that flow, and from no other site',
    ...inTime(20, async () => {
      const { own, device } = await listener();
      const [flow, attackers] = [await begin(), await begin()];
      const [victim, attacker] = [await open(flow.login), await open(attackers.login)];
      const theirs = await open(flow.login);
      const site = (value: string): Record<string, string> => ({ 'sec-fetch-site': value });
      const attempts: [what: string, Promise<Answer>][] = [
        ['no cookie', fill(flow.login, { ...victim, cookie: '' }, { ...own })],
        ['no token', fill(flow.login, { ...victim, formToken: '' }, { ...own })],
        ['a token of that length', fill(flow.login, { ...victim, formToken: 'A'.repeat(43) }, { ...own })],
        ["another flow's token", fill(flow.login, { ...victim, formToken: attacker.formToken }, { ...own })],
        ["another flow's page", fill(attackers.login, victim, { ...own })],
        ["another browser's token", fill(flow.login, { ...victim, formToken: theirs.formToken }, { ...own })],
        [
          "another browser's refusal",
          fill(flow.login, { ...victim, formToken: theirs.formToken }, { answer: 'refuse' }),
        ],
        ['another site', fill(flow.login, victim, { ...own }, site('cross-site'))],
        ['another site of the host', fill(flow.login, victim, { ...own }, site('same-site'))],
      ];
      for (const [what, sent] of attempts) {
        const { status, text } = await sent;
        const said = what.startsWith('another site') ? 'Nothing is granted' : 'role="alert">This page was too old';
        expect([what, status, text]).toEqual([what, 403, expect.stringContaining(said)]);
        // What somebody else has typed is not ours to show.
        expect([what, text]).toEqual([what, expect.not.stringContaining(own.username)]);
      }
      const misshapen = { answer: 'grand', ...own };
      expect((await fill(flow.login, victim, misshapen)).status).toBe(400);
      for (const each of [flow, attackers]) expect((await ANTENNAPOD.poll(each)).status).toBe(404);
      // The browser that has a cookie keeps it, so that two pages may stand open in it.
      const again = await send(flow.login, { method: 'GET', headers: { cookie: victim.cookie } });
      expect(again.headers['set-cookie']![0]).toContain(`${victim.cookie};`);
      expect((await fill(flow.login, victim, { ...own }, site('same-origin'))).status).toBe(200);
      expect((await ANTENNAPOD.poll(flow)).status).toBe(200);
      expect(await tokensOf(device)).toHaveLength(1);
    }),
  );

  it(
    'answers one of those that ask at once, and nobody once it is refused or over',
    ...inTime(20, async () => {
      const { own, device } = await listener();
      const flow = await begin();
      await grant(flow.login, own);
      const asked = [flow.endpoint, elsewhere(flow.endpoint), flow.endpoint, elsewhere(flow.endpoint)];
      const told = await Promise.all(asked.map((endpoint) => ANTENNAPOD.poll({ ...flow, endpoint })));
      expect(told.map(({ status }) => status).sort()).toEqual([200, 404, 404, 404]);
      expect(await tokensOf(device)).toHaveLength(1);

      const refused = await begin();
      const page = await fill(refused.login, await open(refused.login), { answer: 'refuse' });
      expect([page.status, page.text]).toEqual([200, expect.stringContaining('The app is refused')]);
      const [waiting, granted] = [await begin(), await begin()];
      const shown = await open(waiting.login);
      await grant(granted.login, own);
      await withSql(system.database, (client) =>
        client.query(`UPDATE users.login_flows SET created_at = created_at - interval '20 minutes'`),
      );
      const late = await fill(waiting.login, shown, { ...own });
      for (const { status, text } of [late, await open(refused.login), await open(granted.login)])
        expect([status, text]).toEqual([404, expect.stringContaining('No app waits here')]);
      for (const each of [refused, waiting, granted, { ...flow, token: '' }, { ...flow, token: 'A'.repeat(43) }])
        expect((await ANTENNAPOD.poll(each)).status).toBe(404);
      expect(await tokensOf(device)).toHaveLength(1);
    }),
  );

  it(
    'ends with the password of the account that granted it, and with the account',
    ...inTime(20, async () => {
      const { own, device } = await listener();
      const flow = await begin();
      await grant(flow.login, own);
      const newPassword = 'a new sentence of mine';
      const change = { password: own.password, new_password: newPassword };
      expect((await device.send('PUT', '/account/password', change)).status).toBe(200);
      expect((await ANTENNAPOD.poll(flow)).status).toBe(404);
      const last = await begin();
      expect((await grant(last.login, { ...own, password: newPassword })).status).toBe(200);
      const { body } = await device.get('/account/export');
      expect(body.login_flows).toEqual([{ client: 'AntennaPod/3.7.0', created_at: expect.any(String) }]);
      expect((await device.send('DELETE', '/account', { password: newPassword })).status).toBe(202);
      expect((await ANTENNAPOD.poll(last)).status).toBe(404);
    }),
  );

  it(
    'shows what an app calls itself as text, in short, on a page that nothing else can use',
    ...inTime(20, async () => {
      const named = async (userAgent: string): Promise<Answer> =>
        open(flowOf(await ANTENNAPOD.begin(base, { 'user-agent': userAgent })).login);
      const { text, headers } = await named('<img src=x onerror="alert(1)"> & \u00ad\u0085Ünnamed');
      expect(text).toContain('>&#60;img src=x onerror=&#34;alert(1)&#34;&#62; &#38; nnamed</strong>');
      expect((await named('a'.repeat(3_000))).text).toContain(`>${'a'.repeat(100)}</strong>`);
      expect(text).toContain('Only grant this if you yourself have just begun it in your app.');
      expect(text).not.toMatch(/<script|<img|<a |<link/);
      expect(headers).toMatchObject({
        'content-type': 'text/html; charset=utf-8',
        'content-security-policy': expect.stringMatching(
          /^default-src 'none'; style-src 'sha256-[\w+/]{43}='; form-action 'self'; base-uri 'none'; frame-ancestors 'none'$/,
        ),
        'x-frame-options': 'DENY',
        'referrer-policy': 'no-referrer',
        'cache-control': 'no-store',
        'set-cookie': [expect.stringMatching(/^balados_login=[\w-]{43}; Max-Age=1200; HttpOnly; SameSite=Strict$/)],
      });
      expect(headers['access-control-allow-origin']).toBeUndefined();
    }),
  );

  it(
    'tells the address by which it was asked, in a folder too, and believes of another host a trusted proxy alone',
    ...inTime(20, async () => {
      const loginAt = async (url: string, headers: Record<string, string>): Promise<string> => {
        const { status, json } = await send(url, { headers });
        return status === 200 ? new URL('..', json.login).href : String(status);
      };
      const forwarded = { 'x-forwarded-host': 'sync.example', 'x-forwarded-proto': 'https' };
      for (const [path, headers, expected] of [
        ['/index.php/login/v2', { host: 'sync.example:4000' }, 'http://sync.example:4000/'],
        ['/index.php/login/v2', forwarded, 'https://sync.example/'],
        ['/nextcloud/index.php/login/v2', forwarded, 'https://sync.example/nextcloud/'],
        ['/nextcloud//index.php/login/v2', forwarded, 'https://sync.example/nextcloud/'],
      ] as [string, Record<string, string>, string][])
        expect([path, await loginAt(`${base}${path}`, headers)]).toEqual([path, `${expected}index.php/login/v2/`]);
      expect(await loginAt(`${base}/index.php/login/v2`, { host: 'a@b' })).toBe('400');
      if (other)
        expect(await loginAt(`${other.url}/index.php/login/v2`, forwarded)).toBe(`${other.url}/index.php/login/v2/`);
      const { login: page } = flowOf(await ANTENNAPOD.begin(`${base}/nextcloud`, forwarded));
      const { headers } = await send(page.replace('https://sync.example', base), { method: 'GET', headers: forwarded });
      expect(headers['set-cookie']![0]).toMatch(/; Secure$/);
    }),
  );

  it(
    'bounds what an address begins and asks, with room for ten apps that ask each second',
    ...inTime(30, async () => {
      const busy = { 'x-forwarded-for': somebody() };
      const { own } = await listener();
      const flow = flowOf(await ANTENNAPOD.begin(base, busy));
      const repeat = async (times: number, ask: () => Promise<Answer>): Promise<number[]> => {
        const statuses: number[] = [];
        for (let asked = 0; asked < times; asked += 1) statuses.push((await ask()).status);
        return [...new Set(statuses)];
      };
      expect(await repeat(FLOWS_PER_ADDRESS - 1, () => ANTENNAPOD.begin(base, busy))).toEqual([200]);
      const { status, headers } = await ANTENNAPOD.begin(base, busy);
      expect([status, Number(headers['retry-after']) > 60]).toEqual([429, true]);
      expect(await repeat(POLLS_PER_ADDRESS, () => ANTENNAPOD.poll(flow, busy))).toEqual([404]);
      expect((await ANTENNAPOD.poll(flow, busy)).status).toBe(429);
      // Who has many networks has them of one customer.
      const network = Math.floor(Math.random() * 0x10000).toString(16);
      const within = (nth: number) => ({ 'x-forwarded-for': `2001:db8:${network}:${nth.toString(16)}::1` });
      for (let nth = 1; nth <= FLOWS_PER_SITE / FLOWS_PER_ADDRESS; nth += 1)
        expect(await repeat(FLOWS_PER_ADDRESS, () => ANTENNAPOD.begin(base, within(nth)))).toEqual([200]);
      expect((await ANTENNAPOD.begin(base, within(99))).status).toBe(429);
      expect((await ANTENNAPOD.begin(base, { 'x-forwarded-for': '2001:db9::1' })).status).toBe(200);
      // Neither of them is a password that was tried.
      expect((await fill(flow.login, await open(flow.login), { ...own }, busy)).status).toBe(200);
      expect((await ANTENNAPOD.poll(flow)).status).toBe(200);
      expect((await fill(flow.login, await open(flow.login), { username: 'x'.repeat(20_000) })).status).toBe(404);
      const large = await begin();
      expect((await fill(large.login, await open(large.login), { username: 'x'.repeat(20_000) })).status).toBe(413);
    }),
  );

  (program ? describe : describe.skip)('in a browser', () => {
    let browser: Browser;
    beforeAll(async () => {
      browser = await chromium.launch({ executablePath: program, args: CHROMIUM_FLAGS });
    }, 60_000);
    afterAll(() => browser?.close());

    it(
      'is granted by keyboard alone, without a script, after a slip of the hand',
      ...inTime(60, async () => {
        const { own } = await listener();
        const flow = await begin();
        const context = await browser.newContext({ ...SCREENS.phone, javaScriptEnabled: false });
        const page = await context.newPage();
        await page.goto(flow.login);
        await page.keyboard.press('Tab');
        await page.keyboard.type(own.username);
        await page.keyboard.press('Tab');
        await page.keyboard.type('a slip of the hand');
        await page.keyboard.press('Enter');
        expect(await page.getByRole('alert').textContent()).toBe('Username and password do not belong together.');
        const complaints: string[] = [];
        page.on('console', (said) => said.type() === 'error' && complaints.push(said.text()));
        expect(await page.getByLabel('Username').inputValue()).toBe(own.username);
        await page.getByLabel('Password').focus();
        await page.keyboard.type(own.password);
        await page.keyboard.press('Enter');
        await page.getByRole('heading', { name: 'The app is connected' }).waitFor();
        expect(complaints).toEqual([]);
        expect((await ANTENNAPOD.poll(flow)).json).toMatchObject({ loginName: own.username });
        const refused = await begin();
        await page.goto(refused.login);
        await page.getByRole('button', { name: 'Refuse' }).click();
        await page.getByRole('heading', { name: 'The app is refused' }).waitFor();
        await context.close();
      }),
    );

    it(
      'is readable: nothing that axe knows of is wrong, light and dark, wide and on a phone',
      ...inTime(60, async () => {
        const { login: address } = flowOf(await ANTENNAPOD.begin(base, { 'user-agent': 'w'.repeat(100) }));
        const look = async (page: Page, name: string, schemes: readonly ('light' | 'dark')[]): Promise<void> => {
          for (const scheme of schemes) {
            expect([name, scheme, await flawsOf(page, scheme)]).toEqual([name, scheme, []]);
            if (PICTURES) await page.screenshot({ path: `${PICTURES}/${name}-${scheme}.png`, fullPage: true });
          }
        };
        for (const [name, shape] of Object.entries<BrowserContextOptions>(SCREENS)) {
          const context = await browser.newContext(shape);
          await context.addInitScript(AXE);
          const page = await context.newPage();
          await page.goto(address);
          await page.getByLabel('Username').fill(`nobody-${name}`);
          await page.getByLabel('Password').fill('some password');
          await page.getByRole('button', { name: 'Sign in and grant' }).click();
          await page.getByRole('alert').waitFor();
          await look(page, name, name === 'phone' ? ['light', 'dark'] : ['light']);
          await page.goto(address.slice(0, -1));
          if (name === 'phone') await look(page, 'over', ['light']);
          await context.close();
        }
      }),
    );

    it(
      'takes no form of another site’s page, nor stands in a frame of it, though the browser has the page open',
      ...inTime(60, async () => {
        const { own } = await listener();
        const flow = await begin();
        const attacker = await open(flow.login);
        let html = '';
        const server: Server = createServer((_request, response) =>
          response.writeHead(200, { 'content-type': 'text/html' }).end(html),
        );
        await new Promise<void>((resolve) => server.listen(0, 'localhost', resolve));
        const site = `http://localhost:${(server.address() as AddressInfo).port}/`;
        const context = await browser.newContext();
        try {
          const victim = await context.newPage();
          await victim.goto(flow.login);
          const form = await victim.locator('input[name=form]').first().inputValue();
          // The second would be right in the page itself.
          for (const token of [attacker.formToken, form]) {
            const fields = Object.entries({ form: token, answer: 'grant', ...own })
              .map(([name, value]) => `<input name="${name}" value="${value}">`)
              .join('');
            html = `<form method="post" action="${flow.login}">${fields}</form><script>document.forms[0].submit()</script>`;
            const page = await context.newPage();
            const answered = page.waitForResponse((response) => response.request().method() === 'POST');
            await page.goto(site);
            expect((await answered).status()).toBe(403);
            await page.close();
          }
          html = `<iframe src="${flow.login}"></iframe>`;
          const framing = await context.newPage();
          await framing.goto(site);
          await waitFor(() => framing.frames().some((frame) => frame.url().startsWith('chrome-error:')), {
            what: 'the frame to be refused',
          });
          expect((await ANTENNAPOD.poll(flow)).status).toBe(404);
          // What it has open counts as before.
          await victim.getByLabel('Username').fill(own.username);
          await victim.getByLabel('Password').fill(own.password);
          await victim.getByRole('button', { name: 'Sign in and grant' }).click();
          await victim.getByRole('heading', { name: 'The app is connected' }).waitFor();
        } finally {
          await context.close();
          server.close().closeAllConnections();
        }
      }),
    );
  });

  // Of several processes one can be killed alone.
  if (kind === 'services')
    it(
      'was granted for good, whatever becomes of the copy that was told',
      ...inTime(20, async () => {
        const { own } = await listener();
        const flow = await begin();
        expect((await grant(elsewhere(flow.login), own)).status).toBe(200);
        await other!.kill();
        expect((await ANTENNAPOD.poll(flow)).json).toMatchObject({ loginName: own.username });
      }),
    );
});
