import { generateKeyPairSync, KeyObject, randomUUID } from 'node:crypto';
import { createServer, Server } from 'node:http';
import { AddressInfo } from 'node:net';
import { waitFor } from '@balados/testing';
import { sign, SignOptions } from 'jsonwebtoken';
import { Answer, base64, Credentials, Device, login, newListener, register, request } from './support/client';
import { report, timed, within } from './support/limits';
import { ServiceProcess } from './support/service-process';
import { KINDS, startSystem, System } from './support/system';

/** What was revoked works nowhere after this time, in milliseconds. */
const REVOCATION_LIMIT_MS = 5_000;
const FEED = 'https://feeds.example/one.xml';
const ISSUER = 'https://issuer.example/';
const AUDIENCE = 'balados';

const pair = () => generateKeyPairSync('rsa', { modulusLength: 2_048 });
const pem = (key: KeyObject): string => key.export({ type: 'spki', format: 'pem' }) as string;
const outside = pair();

/** Publishes the outside issuer's key. */
async function publishKeys(): Promise<Server> {
  const keys = [{ ...outside.publicKey.export({ format: 'jwk' }), kid: 'outside', use: 'sig', alg: 'RS256' }];
  const server = createServer((_request, response) => response.end(JSON.stringify({ keys })));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

describe.each(KINDS)('keys and tokens on %s', (kind) => {
  let system: System;
  let api: string;
  let issuer: Server;
  /** A second copy of the service, where there are processes; else the first. */
  let copy: string;

  beforeAll(async () => {
    issuer = await publishKeys();
    const { port } = issuer.address() as AddressInfo;
    const env = { JWKS_URI: `http://127.0.0.1:${port}/keys`, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE };
    system = await startSystem(kind, env, ['projections', 'command-api']);
    api = copy = system.listeners;
    if (kind === 'standalone') return;
    const second = new ServiceProcess('command-api-2', 'command-api/main', system.envOf('command-api'));
    system.processes['command-api-2'] = second;
    copy = (await second.start()).url;
  }, 120_000);
  afterAll(async () => {
    await system?.stop();
    issuer?.close();
  }, 120_000);

  const there = (device: Device): Device => new Device(copy, device.userId, device.token, device.refreshToken);
  const with_ = (device: Device, token: string, base = api): Device => new Device(base, device.userId, token, '');
  const post = (device: Device, path: string, body: unknown, key: string): Promise<Answer> =>
    request(`${device.base}/api/v1${path}`, {
      method: 'POST',
      body,
      token: device.token,
      headers: { 'idempotency-key': key },
    });
  /** An answer without what names the request. */
  const told = ({ status, body }: Answer) => ({ status, ...body, correlation_id: undefined });

  interface Signer {
    device: Device;
    kid: string | undefined;
    key: KeyObject;
  }
  async function signer(): Promise<Signer> {
    const { publicKey, privateKey } = pair();
    const device = await newListener(api);
    const { status, body } = await device.send('POST', '/keys', { name: 'player', public_key: pem(publicKey) });
    expect(status).toBe(200);
    return { device, kid: body.kid, key: privateKey };
  }
  const signed = ({ device, kid, key }: Signer, claims: object = {}, options: SignOptions = {}): string =>
    sign({ sub: device.userId, jti: randomUUID(), device_name: 'Kitchen', ...claims }, key, {
      algorithm: 'RS256',
      ...(kid && { keyid: kid }),
      expiresIn: 600,
      ...options,
    });

  describe('personal tokens', () => {
    it('are made, listed beside sessions without their secret, and revoked', async () => {
      const device = await newListener(api);
      const made = await device.send('POST', '/tokens', { name: 'my feed reader' });
      expect(made.status).toBe(200);
      expect(made.body).toEqual({
        token: expect.stringMatching(/^[\w-]{43}$/),
        user_id: device.userId,
        id: expect.any(String),
        kind: 'personal',
        name: 'my feed reader',
        created_at: expect.stringMatching(/Z$/),
      });
      expect(made.headers.get('cache-control')).toBe('no-store');
      const { id, created_at } = made.body;
      const { body } = await device.get('/tokens');
      const session = { id: expect.any(String), name: 'the phone', kind: 'session', created_at: expect.any(String) };
      expect(body).toEqual({
        tokens: [
          { id, name: 'my feed reader', kind: 'personal', created_at, last_used_at: null },
          { ...session, last_used_at: expect.any(String) },
        ],
      });
      const revoked = { status: 200, body: { status: 'success', data: { id } } };
      expect(await device.send('DELETE', `/tokens/${id}`)).toMatchObject(revoked);
      expect(await device.send('DELETE', `/tokens/${id}`)).toMatchObject(revoked);
      expect((await device.get('/tokens')).body.tokens).toHaveLength(1);
    });

    it('are no access tokens', async () => {
      const device = await newListener(api);
      const { body } = await device.send('POST', '/tokens', { name: 'x' });
      expect((await with_(device, body.token).get('/tokens')).body.code).toBe('invalid_token');
    });

    it.each<[unknown]>([
      [undefined],
      [{}],
      [{ name: '' }],
      [{ name: 1 }],
      [{ name: 'a\u0000b' }],
      [{ name: 'x'.repeat(256) }],
    ])('have a name: not %j', async (sent) => {
      const device = await newListener(api);
      expect(await device.send('POST', '/tokens', sent)).toMatchObject({ status: 422, body: { code: 'invalid' } });
    });

    it('a session is ended by its id, on every copy within five seconds', async () => {
      const credentials = await register(api);
      const [phone, laptop] = [await login(api, credentials), await login(api, credentials, 'laptop')];
      expect((await there(laptop).get('/subscriptions')).status).toBe(200);
      const { tokens } = (await phone.get('/tokens')).body;
      const { id } = tokens.find(({ name }: { name: string }) => name === 'the laptop');
      expect((await phone.send('DELETE', `/tokens/${id}`)).status).toBe(200);
      expect((await laptop.get('/subscriptions')).body.code).toBe('revoked_session');
      const isOut = async () => (await there(laptop).get('/subscriptions')).status === 401;
      await timed('the session to end on the copy', isOut, REVOCATION_LIMIT_MS);
      expect((await phone.get('/subscriptions')).status).toBe(200);
    });

    it('another listener’s are as if they never were', async () => {
      const [mine, theirs] = [await newListener(api), await signer()];
      const { id } = (await theirs.device.send('POST', '/tokens', { name: 'theirs' })).body;
      const [theirSession] = (await theirs.device.get('/tokens')).body.tokens.slice(-1);
      const missing = told(await mine.send('DELETE', `/tokens/${randomUUID()}`));
      expect(missing).toMatchObject({ status: 404, code: 'token_unknown' });
      for (const each of [id, theirSession.id])
        expect(told(await mine.send('DELETE', `/tokens/${each}`))).toEqual(missing);
      const noKey = told(await mine.send('DELETE', `/keys/${randomUUID()}`));
      expect(noKey).toMatchObject({ status: 404, code: 'key_unknown' });
      expect(told(await mine.send('DELETE', `/keys/${theirs.kid}`))).toEqual(noKey);
      expect((await theirs.device.get('/tokens')).body.tokens).toHaveLength(2);
      expect((await theirs.device.get('/keys')).body.keys).toHaveLength(1);
      for (const path of ['/tokens/x', '/keys/x', `/keys/${theirs.kid}'--`])
        expect((await mine.send('DELETE', path)).status).toBe(422);
    });
  });

  describe('keys of a listener', () => {
    it('sign tokens that write and read, with kid and without', async () => {
      const owner = await signer();
      const script = with_(owner.device, signed(owner));
      expect((await script.subscribe(FEED)).status).toBe(200);
      const unnamed = with_(owner.device, signed({ ...owner, kid: undefined }));
      expect((await unnamed.get('/subscriptions')).body.subscriptions).toMatchObject([
        { rss_source_feed: base64(FEED) },
      ]);
      const keys = async () => (await owner.device.get('/keys')).body.keys;
      await waitFor(async () => (await keys())[0].last_used_at, { what: 'the last use' });
      expect(await keys()).toEqual([
        {
          kid: owner.kid,
          name: 'player',
          public_key: expect.stringMatching(/^-----BEGIN PUBLIC KEY-----\n/),
          created_at: expect.any(String),
          last_used_at: expect.any(String),
        },
      ]);
      expect((await script.send('POST', '/tokens', { name: 'made by a script' })).status).toBe(200);
    });

    it('are taken as a JWK, too', async () => {
      const device = await newListener(api);
      const { publicKey, privateKey } = pair();
      const jwk = publicKey.export({ format: 'jwk' });
      const { body } = await device.send('POST', '/keys', { name: 'jwk', public_key: jwk });
      const token = signed({ device, kid: body.kid, key: privateKey });
      expect((await with_(device, token, copy).get('/account')).body.account.user_id).toBe(device.userId);
    });

    it('do not register or remove keys, change the password or log out: that takes a login', async () => {
      const owner = await signer();
      const script = with_(owner.device, signed(owner));
      const refused = { status: 403, body: { code: 'login_required' } };
      const attempts: [string, string, unknown?][] = [
        ['POST', '/keys', { name: 'mine now', public_key: pem(pair().publicKey) }],
        ['DELETE', `/keys/${owner.kid}`],
        ['PUT', '/account/password', { password: 'anything', new_password: 'anything else' }],
        ['POST', '/auth/logout'],
      ];
      for (const [method, path, body] of attempts) expect(await script.send(method, path, body)).toMatchObject(refused);
      expect((await owner.device.get('/keys')).body.keys).toHaveLength(1);
    });

    it('a private key is refused, is in no answer, and in no log', async () => {
      const device = await newListener(api);
      const { privateKey } = pair();
      const jwk = privateKey.export({ format: 'jwk' });
      const sent = [privateKey.export({ type: 'pkcs8', format: 'pem' }) as string, jwk];
      for (const public_key of sent) {
        const { status, body } = await device.send('POST', '/keys', { name: 'oops', public_key });
        expect([status, body.code]).toEqual([422, 'private_key_sent']);
        expect(JSON.stringify(body)).not.toContain(jwk.d!.slice(0, 32));
      }
      const lines = Object.values(system.processes).flatMap((process) => process.lines);
      expect(lines.join('\n')).not.toContain(jwk.d!.slice(0, 32));
      expect((await device.get('/keys')).body.keys).toEqual([]);
    });

    it.each([
      ['too small', pem(generateKeyPairSync('rsa', { modulusLength: 1_024 }).publicKey)],
      ['a curve', pem(generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey)],
      ['no key', 'ssh-rsa AAAA'],
      ['an empty JWK', {}],
    ])('of another kind are refused: %s', async (_what, public_key) => {
      const device = await newListener(api);
      const answer = await device.send('POST', '/keys', { name: 'x', public_key });
      expect(answer).toMatchObject({ status: 422, body: { code: 'invalid_public_key' } });
    });

    it('speak for their owner alone, and only in time', async () => {
      const [owner, victim] = [await signer(), await signer()];
      const now = Math.floor(Date.now() / 1_000);
      const tokens = {
        'another sub': signed(owner, { sub: victim.device.userId }),
        'another sub, without kid': signed({ ...owner, kid: undefined }, { sub: victim.device.userId }),
        'another kid': signed({ ...owner, kid: victim.kid }),
        'another kid and sub': signed({ ...owner, kid: victim.kid }, { sub: victim.device.userId }),
        'our issuer': signed(owner, { iss: 'balados-sync' }),
        'the outside issuer': signed(owner, { iss: ISSUER, aud: AUDIENCE }),
        'no jti': signed(owner, { jti: undefined }),
        expired: signed(owner, {}, { expiresIn: -60 }),
        'not valid yet': signed(owner, { nbf: now + 600 }),
        'good for a year': signed(owner, {}, { expiresIn: 366 * 86_400 }),
        'a kid with SQL': signed({ ...owner, kid: "' OR 1=1 --" }),
        'a kid with a path': signed({ ...owner, kid: '../../etc/passwd' }),
      };
      for (const [name, token] of Object.entries(tokens)) {
        const { status, headers } = await with_(owner.device, token).get('/subscriptions');
        expect([name, status]).toEqual([name, 401]);
        expect(headers.get('www-authenticate')).toBe('Bearer error="invalid_token"');
      }
      const huge = signed(owner, { more: 'x'.repeat(9_000) });
      expect((await with_(owner.device, huge).get('/subscriptions')).status).toBe(401);
      expect((await with_(owner.device, `${huge}${'x'.repeat(20_000)}`).get('/subscriptions')).status).toBe(431);
    });

    it(
      'removed are worth nothing, on every copy within five seconds',
      ...within(
        30,
        () => Object.values(system.processes),
        async () => {
          const owner = await signer();
          const token = signed(owner);
          expect((await with_(owner.device, token).get('/subscriptions')).status).toBe(200);
          expect((await with_(owner.device, token, copy).get('/subscriptions')).status).toBe(200);
          expect((await owner.device.send('DELETE', `/keys/${owner.kid}`)).status).toBe(200);
          expect((await with_(owner.device, token).get('/subscriptions')).status).toBe(401);
          const isOut = async () => (await with_(owner.device, token, copy).get('/subscriptions')).status === 401;
          report(`refused by the copy after ${await timed('the refusal', isOut, REVOCATION_LIMIT_MS)} ms`);
          expect((await owner.device.get('/keys')).body.keys).toEqual([]);
        },
      ),
    );
  });

  describe('the outside issuer', () => {
    const token = (claims: object = {}, key = outside.privateKey): string =>
      sign({ iss: ISSUER, aud: AUDIENCE, sub: 'somebody', jti: randomUUID(), ...claims }, key, {
        algorithm: 'RS256',
        keyid: 'outside',
        expiresIn: 600,
      });
    const account = (text: string, base = api): Promise<Answer> => request(`${base}/api/v1/account`, { token: text });

    it('vouches for listeners, who are the same on every copy', async () => {
      const { status, body } = await account(token());
      expect([status, body.account]).toEqual([
        200,
        { user_id: expect.any(String), username: null, created_at: expect.any(String) },
      ]);
      expect((await account(token(), copy)).body.account).toEqual(body.account);
      expect((await account(token({ sub: 'somebody else' }))).body.account.user_id).not.toBe(body.account.user_id);
      const device = new Device(api, body.account.user_id, token(), '');
      expect((await device.subscribe(FEED)).status).toBe(200);
      expect((await device.send('POST', '/tokens', { name: 'feeds' })).body.user_id).toBe(body.account.user_id);
      const key = { name: 'x', public_key: pem(pair().publicKey) };
      expect((await device.send('POST', '/keys', key)).body.code).toBe('login_required');
    });

    it.each([
      ['another audience', () => token({ aud: 'others' })],
      ['another issuer', () => token({ iss: 'https://others.example/' })],
      ['another key', () => token({}, pair().privateKey)],
      ['our name', () => token({ iss: 'balados-sync' })],
    ])('does not with %s', async (_what, forge) => {
      expect((await account(forge())).status).toBe(401);
    });
  });

  describe('the password', () => {
    const change = (device: Device, password: string, new_password: string) =>
      device.send('PUT', '/account/password', { password, new_password });
    const next = 'a new sentence of mine';

    it('is changed, and other sessions end, on every copy within five seconds', async () => {
      const credentials: Credentials = await register(api);
      const [phone, laptop] = [await login(api, credentials), await login(api, credentials, 'laptop')];
      expect((await there(laptop).get('/subscriptions')).status).toBe(200);
      const changed = await change(phone, credentials.password, next);
      expect(changed).toMatchObject({ status: 200, body: { status: 'success', data: { user_id: phone.userId } } });
      const isOut = async () => (await there(laptop).get('/subscriptions')).status === 401;
      await timed('the other session to end', isOut, REVOCATION_LIMIT_MS);
      const refresh = (device: Device) =>
        request(`${api}/api/v1/auth/refresh`, { method: 'POST', body: { refresh_token: device.refreshToken } });
      expect([(await refresh(laptop)).status, (await refresh(phone)).status]).toEqual([401, 200]);
      await expect(login(api, credentials)).rejects.toThrow('401');
      expect((await login(api, { ...credentials, password: next })).userId).toBe(phone.userId);
    });

    it('stays what it was when the old one is wrong or the new one impossible', async () => {
      const credentials = await register(api);
      const [phone, laptop] = [await login(api, credentials), await login(api, credentials, 'laptop')];
      const wrong = await change(phone, 'not the password', next);
      expect(wrong).toMatchObject({ status: 403, body: { code: 'wrong_password' } });
      expect(wrong.headers.get('www-authenticate')).toBeNull();
      const short = await change(phone, credentials.password, 'short');
      expect(short).toMatchObject({ status: 422, body: { code: 'invalid_password' } });
      expect((await phone.send('PUT', '/account/password', {})).status).toBe(422);
      expect((await laptop.get('/subscriptions')).status).toBe(200);
      expect((await login(api, credentials)).userId).toBe(phone.userId);
    });
  });

  describe('an Idempotency-Key', () => {
    it('makes one token of many requests, on every copy', async () => {
      const device = await newListener(api);
      const key = randomUUID();
      const answers = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          post(index % 2 ? there(device) : device, '/tokens', { name: 'x' }, key),
        ),
      );
      for (const { status, body } of answers) expect([status, body]).toEqual([200, answers[0]!.body]);
      const tokens = (await device.get('/tokens')).body.tokens;
      expect(tokens.filter(({ kind: each }: { kind: string }) => each === 'personal')).toHaveLength(1);
      const other = await post(device, '/tokens', { name: 'y' }, key);
      expect(other).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
      expect((await post(await newListener(api), '/tokens', { name: 'x' }, key)).body.id).not.toBe(answers[0]!.body.id);
    });

    it('makes one key of two requests', async () => {
      const device = await newListener(api);
      const body = { name: 'player', public_key: pem(pair().publicKey) };
      const key = randomUUID();
      const made = await post(device, '/keys', body, key);
      expect((await post(there(device), '/keys', body, key)).body).toEqual(made.body);
      expect((await post(device, '/keys', { ...body, name: 'other' }, key)).body.code).toBe('idempotency_key_reused');
      expect((await device.get('/keys')).body.keys).toHaveLength(1);
    });

    it('makes one account of many requests', async () => {
      const credentials = { username: `twice-${randomUUID()}`, password: 'a long sentence of mine' };
      const headers = { 'idempotency-key': randomUUID() };
      const create = (base: string, body: object) =>
        request(`${base}/api/v1/accounts`, { method: 'POST', body, headers });
      const answers = await Promise.all([api, copy, api, copy].map((base) => create(base, credentials)));
      for (const { status, body } of answers) expect([status, body]).toEqual([201, answers[0]!.body]);
      for (const other of [{ password: 'another sentence' }, { username: `thrice-${randomUUID()}` }]) {
        const answer = await create(api, { ...credentials, ...other });
        expect(answer).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
      }
    });

    it.each(['', 'a b', 'x'.repeat(256)])('is 1 to 255 visible characters: not %j', async (key) => {
      const answer = await post(await newListener(api), '/tokens', { name: 'x' }, key);
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ path: 'Idempotency-Key' }] } });
    });
  });

  it.each([
    'POST /tokens',
    'GET /tokens',
    `DELETE /tokens/${randomUUID()}`,
    'POST /keys',
    'GET /keys',
    `DELETE /keys/${randomUUID()}`,
    'PUT /account/password',
  ])('lets nobody in at %s without a token', async (route) => {
    const [method, path] = route.split(' ') as [string, string];
    const { status, body } = await request(`${api}/api/v1${path}`, { method });
    expect([status, body.code]).toEqual([401, 'no_token']);
  });
});
