import * as argon2 from 'argon2';
import { Busy } from './errors';
import { Passwords, PASSWORDS_WAITING } from './passwords';

const password = 'correct horse battery staple';
let passwords: Passwords;

beforeAll(async () => {
  passwords = await Passwords.create(2);
});

it('keeps argon2id hashes of the parameters that OWASP names', async () => {
  const hash = await passwords.hash(password);
  expect(hash).toMatch(/^\$argon2id\$v=19\$m=19456,t=2,p=1\$/);
  expect(await passwords.hash(password)).not.toBe(hash);
  expect(await passwords.verify(hash, password)).toBe(true);
  expect(await passwords.verify(hash, `${password} `)).toBe(false);
  expect(passwords.isOutdated(hash)).toBe(false);
});

it('knows a hash of other parameters, and that it is outdated', async () => {
  const weak = await argon2.hash(password, { memoryCost: 4_096, timeCost: 2, parallelism: 1 });
  expect(await passwords.verify(weak, password)).toBe(true);
  expect(passwords.isOutdated(weak)).toBe(true);
});

it('takes a password byte for byte', async () => {
  const hash = await passwords.hash('Zo\u00eb\0 12345');
  expect(await passwords.verify(hash, 'Zo\u00eb\0 12345')).toBe(true);
  expect(await passwords.verify(hash, 'Zoe\u0308\0 12345')).toBe(false);
  expect(await passwords.verify(hash, 'Zo\u00eb')).toBe(false);
});

it.each([
  ['the shortest', '1234567\u00e9'.slice(1), true],
  ['one byte less', '1234567', false],
  ['the longest', 'x'.repeat(1_024), true],
  ['one byte more', 'x'.repeat(1_025), false],
  ['one byte more, in fewer characters', 'é'.repeat(513), false],
  ['with a lone surrogate', 'password\ud800', false],
])('counts bytes: %s', async (_what, candidate, possible) => {
  const hashed = passwords.hash(candidate);
  if (possible) await expect(hashed).resolves.toMatch(/^\$argon2id/);
  else await expect(hashed).rejects.toMatchObject({ code: 'invalid_password' });
});

it('works as much for a listener that does not exist', async () => {
  const hash = await passwords.hash(password);
  // The processor's time, not the clock's: others may be using the machine.
  const work = async (given: string | undefined): Promise<number> => {
    const before = process.cpuUsage();
    await passwords.verify(given, 'another password');
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  const [known, unknown]: [number[], number[]] = [[], []];
  for (let round = 0; round < 7; round++) {
    known.push(await work(hash));
    unknown.push(await work(undefined));
  }
  expect(Math.min(...unknown)).toBeGreaterThan(Math.min(...known) / 3);
  expect(await passwords.verify(undefined, password)).toBe(false);
});

it('turns away who finds the line full, and serves all the others', async () => {
  const two = 2;
  const attempts = Array.from({ length: two + PASSWORDS_WAITING + 3 }, () => passwords.hash(password));
  const results = await Promise.allSettled(attempts);
  const refused = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason);
  expect(refused).toEqual(Array(3).fill(expect.any(Busy)));
  expect(refused[0]).toMatchObject({ retryAfterSeconds: expect.any(Number) });
  await expect(passwords.hash(password)).resolves.toMatch(/^\$argon2id/);
});

it('hashes no more at a time than it may', async () => {
  const one = await Passwords.create(1);
  const order: string[] = [];
  await Promise.all([
    one.hash(password).then(() => order.push('first')),
    one.hash(password).then(() => order.push('second')),
    one.verify(undefined, password).then(() => order.push('third')),
  ]);
  expect(order).toEqual(['first', 'second', 'third']);
});
