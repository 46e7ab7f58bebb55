import { createHmac, createPublicKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { sign, SignOptions } from 'jsonwebtoken';
import { Answer, Device, login, newListener, register, request } from './support/client';
import { report, timed, within } from './support/limits';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

/** A session that was revoked works nowhere after this time, in milliseconds. */
const REVOCATION_LIMIT_MS = 5_000;

const pair = () =>
  generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
const ours = pair();
const theirs = pair();

type Part = Record<string, unknown>;
const encode = (part: Part): string => Buffer.from(JSON.stringify(part)).toString('base64url');
const decode = (text: string): Part => JSON.parse(Buffer.from(text, 'base64url').toString()) as Part;

describe('access tokens that were forged', () => {
  let system: System;
  let copy: ServiceProcess;
  let listener: Device;
  let victim: Device;
  let header: Part;
  let claims: Part;

  beforeAll(async () => {
    system = await startSystem('services', { JWT_PRIVATE_KEY: ours.privateKey }, ['projections', 'command-api']);
    copy = new ServiceProcess('command-api-2', 'command-api/main', system.envOf('command-api'));
    system.processes['command-api-2'] = copy;
    await copy.start();
    listener = await newListener(system.listeners);
    victim = await newListener(system.listeners);
    const [first, second] = listener.token.split('.') as [string, string];
    header = decode(first);
    claims = decode(second);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  const send = (token: string): Promise<Answer> => request(`${system.listeners}/api/v1/subscriptions`, { token });

  /** Signed with the very key of the service: what is wrong is what was changed. */
  function signed(changes: Part, options: SignOptions = {}): string {
    const payload = { ...claims, ...changes };
    for (const [name, value] of Object.entries(payload)) if (value === undefined) delete payload[name];
    return sign(payload, ours.privateKey, { algorithm: 'RS256', keyid: header.kid as string, ...options });
  }

  async function publishedKey(): Promise<string> {
    const { body } = await request(`${system.listeners}/.well-known/jwks.json`);
    return createPublicKey({ key: body.keys[0], format: 'jwk' }).export({ type: 'spki', format: 'pem' }) as string;
  }

  it('are signed here as the service does', async () => {
    expect((await send(listener.token)).status).toBe(200);
    expect((await send(signed({}))).status).toBe(200);
  });

  const now = (): number => Math.floor(Date.now() / 1_000);
  const forgeries: Record<string, () => string | Promise<string>> = {
    'no algorithm': () => `${encode({ ...header, alg: 'none' })}.${encode(claims)}.`,
    'no algorithm, in capitals': () => `${encode({ ...header, alg: 'NONE' })}.${encode(claims)}.`,
    'no algorithm, with the signature': () =>
      `${encode({ ...header, alg: 'none' })}.${encode(claims)}.${listener.token.split('.')[2]}`,
    'no signature': () => `${listener.token.split('.').slice(0, 2).join('.')}.`,
    'HS256 with the public key as secret': async () => {
      const body = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
      return `${body}.${createHmac('sha256', await publishedKey())
        .update(body)
        .digest('base64url')}`;
    },
    'another key under our key’s id': () =>
      sign(claims, theirs.privateKey, { algorithm: 'RS256', keyid: header.kid as string }),
    'another key under its own id': () => sign(claims, theirs.privateKey, { algorithm: 'RS256', keyid: 'theirs' }),
    'a key that came along in the header': () => {
      const jwk = createPublicKey(theirs.publicKey).export({ format: 'jwk' });
      return sign(claims, theirs.privateKey, { algorithm: 'RS256', header: { alg: 'RS256', ...{ jwk } } });
    },
    'RS512 with our key': () => signed({}, { algorithm: 'RS512' }),
    'PS256 with our key': () => signed({}, { algorithm: 'PS256' }),
    'an edited subject': () => {
      const [first, , third] = listener.token.split('.');
      return `${first}.${encode({ ...claims, sub: victim.userId })}.${third}`;
    },
    'an edited expiry': () => {
      const [first, , third] = listener.token.split('.');
      return `${first}.${encode({ ...claims, exp: now() + 86_400 })}.${third}`;
    },
    'an expiry that has passed': () => signed({ iat: now() - 3_600, exp: now() - 60 }),
    'no expiry': () => signed({ exp: undefined }),
    'no subject': () => signed({ sub: undefined }),
    'a subject that is no user id': () => signed({ sub: '../admin' }),
    'no session': () => signed({ jti: undefined }),
    'a session that never was': () => signed({ jti: randomUUID() }),
    'another listener’s session': () => signed({ jti: decode(victim.token.split('.')[1]!).jti }),
    'another listener’s subject on one’s own session': () => signed({ sub: victim.userId }),
    'another issuer': () => signed({ iss: 'https://issuer.example' }),
    'no issuer': () => signed({ iss: undefined }),
    'an issue date ahead': () => signed({ iat: now() + 3_600, exp: now() + 7_200 }),
    'a start ahead': () => signed({ nbf: now() + 3_600 }),
    'no token at all': () => 'token',
  };

  it.each(Object.keys(forgeries))('get nobody in: %s', async (name) => {
    const { status, headers, body } = await send(await forgeries[name]!());
    expect([status, body.status]).toEqual([401, 401]);
    expect(headers.get('content-type')).toMatch('application/problem+json');
    expect(headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
    expect(['invalid_token', 'expired_token', 'revoked_session']).toContain(body.code);
  });

  it(
    'or revoked stop working within five seconds on every copy',
    ...within(
      30,
      () => Object.values(system.processes),
      async () => {
        const credentials = await register(system.listeners);
        const device = await login(system.listeners, credentials);
        const kept = await login(copy.url, credentials, 'laptop');
        const there = new Device(copy.url, device.userId, device.token, device.refreshToken);
        expect((await there.get('/subscriptions')).status).toBe(200);
        expect((await device.send('POST', '/auth/logout')).status).toBe(200);
        expect((await device.get('/subscriptions')).status).toBe(401);
        const refused = async (): Promise<boolean> => (await there.get('/subscriptions')).status === 401;
        report(`refused by the other copy after ${await timed('the refusal', refused, REVOCATION_LIMIT_MS)} ms`);
        expect((await there.subscribe('https://feeds.example/late.xml')).body.code).toBe('revoked_session');
        expect((await kept.get('/subscriptions')).status).toBe(200);
      },
    ),
  );
});
