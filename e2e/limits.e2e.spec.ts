import { Answer, login, newListener, register, request } from './support/client';
import { KINDS, startSystem, System } from './support/system';

const FAILED = 3;
const REGISTRATIONS = 6;
const OF_LISTENER = 25;

/** The limits of design's edge with small numbers; each request comes from an address of its own unless told. */
describe.each(KINDS)('limits on %s', (kind) => {
  let system: System;
  let next = 0;
  beforeAll(async () => {
    system = await startSystem(
      kind,
      {
        TRUSTED_PROXIES: 'loopback',
        RATE_ADDRESS: '40',
        RATE_LISTENER: String(OF_LISTENER),
        RATE_REGISTER: String(REGISTRATIONS),
        RATE_LOGIN_FAILED: String(FAILED),
      },
      ['projections', 'command-api', 'public-api'],
    );
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  const newAddress = (): string => `198.51.100.${(next += 1)}`;
  const from = (address: string) => ({ 'x-forwarded-for': address });
  const tryLogin = (username: string, password: string, address = newAddress()): Promise<Answer> =>
    request(`${system.listeners}/api/v1/auth/login`, {
      method: 'POST',
      body: { username, password },
      headers: from(address),
    });
  const repeated = async (count: number, ask: () => Promise<Answer>): Promise<number[]> => {
    const found: number[] = [];
    for (let index = 0; index < count; index += 1) found.push((await ask()).status);
    return found;
  };
  const expectRefused = ({ status, headers, body }: Answer, mostSeconds: number): void => {
    expect([status, headers.get('content-type')]).toEqual([429, 'application/problem+json; charset=utf-8']);
    expect(body).toMatchObject({ status: 429, code: 'too_many_requests', title: 'Too many requests' });
    const wait = Number(headers.get('retry-after'));
    expect(wait).toBeGreaterThanOrEqual(1);
    expect(wait).toBeLessThanOrEqual(mostSeconds);
  };

  it('stop who guesses the password of an account, from wherever', async () => {
    const ada = await register(system.listeners);
    expect(await repeated(FAILED + 1, () => tryLogin(ada.username, 'not her password'))).toEqual([401, 401, 401, 429]);
    expectRefused(await tryLogin(ada.username, ada.password), 60);
    // The same name in other letters is the same account.
    expectRefused(await tryLogin(` ${ada.username.toUpperCase()}`, 'not her password'), 60);
  });

  it('treat a name without an account alike', async () => {
    const nobody = 'nobody-of-that-name';
    expect(await repeated(FAILED + 1, () => tryLogin(nobody, 'some password'))).toEqual([401, 401, 401, 429]);
    expectRefused(await tryLogin(nobody, 'some password'), 60);
  });

  it('stop who guesses many names from one address, and nobody else', async () => {
    const address = newAddress();
    let name = 0;
    const guess = (): Promise<Answer> => tryLogin(`guessed-name-${(name += 1)}`, 'some password', address);
    const statuses = await repeated(6 * FAILED + 1, guess);
    expect(statuses).toEqual([...Array(6 * FAILED).fill(401), 429]);
    expect((await tryLogin('guessed-by-another', 'some password')).status).toBe(401);
  });

  it('count no login that succeeds', async () => {
    const ada = await register(system.listeners);
    const address = newAddress();
    const statuses = await repeated(6 * FAILED + 2, () => tryLogin(ada.username, ada.password, address));
    expect(new Set(statuses)).toEqual(new Set([200]));
  });

  it('bound the new accounts of an address', async () => {
    const address = newAddress();
    let name = 0;
    const create = (): Promise<Answer> =>
      request(`${system.listeners}/api/v1/accounts`, {
        method: 'POST',
        body: { username: `of-one-address-${(name += 1)}`, password: 'a password of length' },
        headers: from(address),
      });
    expect(await repeated(REGISTRATIONS, create)).toEqual(Array(REGISTRATIONS).fill(201));
    expectRefused(await create(), 3_600);
  });

  it('bound the requests of a listener, on all devices together, and of no other', async () => {
    const ada = await register(system.listeners);
    const devices = [await login(system.listeners, ada, 'phone'), await login(system.listeners, ada, 'tablet')];
    const statuses: number[] = [];
    const read = (index: number): Promise<Answer> =>
      request(`${system.listeners}/api/v1/subscriptions`, {
        token: devices[index % 2]!.token,
        headers: from(newAddress()),
      });
    for (let index = 0; index < OF_LISTENER; index += 1) statuses.push((await read(index)).status);
    expect(new Set(statuses)).toEqual(new Set([200]));
    expectRefused(await read(0), 60);
    expectRefused(await read(1), 60);
    const other = await newListener(system.listeners);
    expect((await other.get('/subscriptions')).status).toBe(200);
  });

  it('bound the requests of an address, in every service, and never those for health', async () => {
    const address = newAddress();
    const timeline = (): Promise<Answer> =>
      request(`${system.public}/api/v1/public/timeline`, { headers: from(address) });
    expect(new Set(await repeated(40, timeline))).toEqual(new Set([200]));
    expectRefused(await timeline(), 60);
    const health = (): Promise<Answer> => request(`${system.public}/healthz`, { headers: from(address) });
    expect(new Set(await repeated(50, health))).toEqual(new Set([200]));
  });
});
