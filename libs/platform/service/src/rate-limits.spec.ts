import { Controller, HttpCode, Module, Post, UseGuards } from '@nestjs/common';
import { addressOf, PasswordAttempts, RegistrationLimit } from './rate-limits';
import { startService, stopServices } from './service.fixture';

@Controller()
class Routes {
  @Post('accounts')
  @HttpCode(201)
  @UseGuards(RegistrationLimit)
  register() {
    return { status: 'made' };
  }
}

@Module({ controllers: [Routes] })
class Anything {}

const start = (environment: Record<string, string>): Promise<string> => startService(Anything, environment);

afterEach(stopServices);

const statuses = async (count: number, ask: (index: number) => Promise<Response>): Promise<number[]> => {
  const found: number[] = [];
  for (let index = 0; index < count; index += 1) found.push((await ask(index)).status);
  return found;
};
const from = (address: string): RequestInit => ({ headers: { 'x-forwarded-for': address } });

describe('of an address', () => {
  it('counts every request but those for health, whatever comes of it', async () => {
    const url = await start({ RATE_ADDRESS: '3' });
    expect(await statuses(4, () => fetch(`${url}/healthz`))).toEqual([200, 200, 200, 200]);
    expect(await statuses(5, () => fetch(`${url}/nothing`))).toEqual([404, 404, 404, 429, 429]);
    const refused = await fetch(`${url}/accounts`, { method: 'POST' });
    expect(refused.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    expect(await refused.json()).toMatchObject({ status: 429, code: 'too_many_requests' });
    const wait = Number(refused.headers.get('retry-after'));
    expect(wait).toBeGreaterThanOrEqual(1);
    expect(wait).toBeLessThanOrEqual(60);
    const metrics = await (await fetch(`${url}/metrics`)).text();
    expect(metrics).toContain('rate_limit_refusals_total{limit="address",service="test"} 3');
  });

  it('ignores X-Forwarded-For of a peer that is not trusted', async () => {
    const url = await start({ RATE_ADDRESS: '3', TRUSTED_PROXIES: '10.0.0.0/8' });
    expect(await statuses(4, (index) => fetch(url, from(`203.0.113.${index}`)))).toEqual([404, 404, 404, 429]);
  });

  it('believes a trusted proxy, and of what it says the part that the proxies themselves added', async () => {
    const url = await start({ RATE_ADDRESS: '1', TRUSTED_PROXIES: '127.0.0.1, 10.0.0.0/8' });
    const chains = ['203.0.113.1', '203.0.113.2', '198.51.100.7, 203.0.113.1', '203.0.113.1, 10.1.2.3', '203.0.113.3'];
    expect(await statuses(chains.length, (index) => fetch(url, from(chains[index]!)))).toEqual([
      404, 404, 429, 429, 404,
    ]);
  });

  it('is none at 0', async () => {
    const url = await start({ RATE_ADDRESS: '0', RATE_REGISTER: '0' });
    expect(await statuses(3, () => fetch(`${url}/accounts`, { method: 'POST' }))).toEqual([201, 201, 201]);
  });
});

it('of registrations refuses those alone', async () => {
  const url = await start({ RATE_REGISTER: '2' });
  expect(await statuses(3, () => fetch(`${url}/accounts`, { method: 'POST' }))).toEqual([201, 201, 429]);
  const refused = await fetch(`${url}/accounts`, { method: 'POST' });
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(60);
  expect((await fetch(url)).status).toBe(404);
});

it.each([
  ['203.0.113.7', '203.0.113.7'],
  ['::ffff:203.0.113.7', '203.0.113.7'],
  ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
  ['2001:DB8:1:2:ffff::', '2001:db8:1:2::/64'],
  ['fe80::1%eth0', 'fe80::/64'],
  ['what a client claims', '192.0.2.1'],
])('takes %s for %s', (ip, address) => {
  expect(addressOf({ ip, socket: { remoteAddress: '192.0.2.1' } })).toBe(address);
});

describe('of passwords', () => {
  const LIMIT = 3;
  const wrong = new Error('wrong');
  const away = new Error('the database is away');
  const failed = (error: unknown): boolean => error === wrong;
  let attempts: PasswordAttempts;
  let checked: number;
  beforeEach(() => {
    attempts = new PasswordAttempts(LIMIT);
    checked = 0;
  });

  /** What comes of one attempt, `checked` counting those that reached the check. */
  const attempt = (account: string, ip: string, error?: Error): Promise<unknown> =>
    attempts
      .attempt(
        { ip },
        account,
        async () => {
          checked += 1;
          await new Promise(setImmediate);
          if (error) throw error;
          return 'in';
        },
        failed,
      )
      .catch((reason: Error & { status?: number }) => reason.status ?? reason.message);
  const times = (count: number, one: (index: number) => Promise<unknown>): Promise<unknown[]> =>
    Promise.all(Array.from({ length: count }, (_, index) => one(index)));
  const address = (index: number): string => `203.0.113.${index}`;

  it('tries no more at once than one after another', async () => {
    const answers = await times(10, (index) => attempt('ada', address(index), wrong));
    expect(answers.filter((answer) => answer === 'wrong')).toHaveLength(LIMIT);
    expect(answers.filter((answer) => answer === 429)).toHaveLength(10 - LIMIT);
    expect(checked).toBe(LIMIT);
    expect([await attempt('ada', address(99)), await attempt('ben', address(99))]).toEqual([429, 'in']);
  });

  it('counts neither successes nor failures of ours, however many at once', async () => {
    const each = (index: number): Promise<unknown> => attempt('ada', address(0), index % 2 ? away : undefined);
    expect(new Set(await times(100, each))).toEqual(new Set(['in', away.message]));
  });

  it('counts six times as many for an address', async () => {
    const answers = await times(30, (index) => attempt(`name ${index}`, address(0), wrong));
    expect(answers.filter((answer) => answer === 'wrong')).toHaveLength(6 * LIMIT);
    expect([await attempt('ada', address(0)), await attempt('ada', address(1))]).toEqual([429, 'in']);
  });
});
