import { randomUUID } from 'node:crypto';
import { ErasureTarget, partOf, WHOLE_HISTORY } from '@balados/users-contracts';
import { SETTING_MAX_BYTES, SETTINGS_MAX_BYTES, SETTINGS_PER_LISTENER, SettingsOf } from './app-settings';
import { finishErasure, requestErasure } from './erasures';
import { accountsOnPostgres, Instance, password, TestAccounts } from './testing';

const FEED = 'https://feeds.example/a.xml';
const OTHER = 'https://feeds.example/b.xml';
const ENCLOSURE = 'https://media.example/1.mp3';
const ITEM = `guid,${ENCLOSURE}`;
const ACCOUNT: SettingsOf = { scope: 'account' };
const episode = (item: string, feed = FEED): SettingsOf => ({
  scope: 'episode',
  feed,
  item,
  enclosure: item.slice(item.indexOf(',') + 1),
});
/** One of each kind, and one of another podcast. */
const ALL: readonly SettingsOf[] = [
  ACCOUNT,
  { scope: 'device', deviceId: 'phone' },
  { scope: 'podcast', feed: FEED },
  episode(ITEM),
  episode(`,${ENCLOSURE}x`),
  episode(ITEM, OTHER),
];

let accounts: TestAccounts;
let here: Instance;
let there: Instance;
beforeAll(async () => {
  accounts = await accountsOnPostgres();
  [here, there] = [await accounts.start(), await accounts.start()];
});
afterAll(() => accounts?.close());

const newListener = async (): Promise<string> =>
  (await here.accounts.create({ username: `listener-${randomUUID().slice(0, 8)}`, password })).userId;
const setAll = async (userId: string): Promise<void> => {
  for (const [n, of] of ALL.entries()) await here.appSettings.change(userId, of, { set: { n }, remove: [] });
};
/** Of which of ALL there are settings. */
const kept = async (userId: string): Promise<number[]> =>
  (await Promise.all(ALL.map((of) => here.appSettings.read(userId, of)))).flatMap(({ n }) => (n as number) ?? []);

it('keeps those of each thing apart, and of each listener', async () => {
  const [ada, bob] = [await newListener(), await newListener()];
  await setAll(ada);
  expect(await kept(ada)).toEqual(ALL.map((_, n) => n));
  expect(await kept(bob)).toEqual([]);
  // What an episode is known as is no part of what it is to an app.
  expect(await here.appSettings.read(ada, episode(`,${ENCLOSURE}`))).toEqual({ n: 3 });
});

it('loses nothing when several copies write different settings of a listener at once', async () => {
  const userId = await newListener();
  const expected = Object.fromEntries(Array.from({ length: 40 }, (_, n) => [`key ${n}`, n]));
  await Promise.all(
    Object.entries(expected).map(([key, value], n) =>
      (n % 2 ? here : there).appSettings.change(userId, ACCOUNT, {
        set: { [key]: value },
        remove: [`key ${n + 1000}`],
      }),
    ),
  );
  expect(await here.appSettings.read(userId, ACCOUNT)).toEqual(expected);
});

it('keeps so many, so long ones, and so much of a listener, also when many come at once; what is too much changes nothing', async () => {
  const userId = await newListener();
  const many = (count: number, length: number, prefix: string) =>
    Object.fromEntries(Array.from({ length: count }, (_, n) => [`${prefix} ${n}`, 'x'.repeat(length)]));
  const change = (of: SettingsOf, set: Record<string, unknown>, remove: string[] = []) =>
    here.appSettings.change(userId, of, { set, remove });
  await expect(change(ACCOUNT, { a: 'x'.repeat(SETTING_MAX_BYTES) })).rejects.toMatchObject({
    code: 'setting_too_large',
  });
  await change(ACCOUNT, many(SETTINGS_PER_LISTENER - 5, 1, 'a'));
  const outcomes = await Promise.allSettled(
    ['b', 'c', 'd'].map((prefix) => change({ scope: 'device', deviceId: prefix }, many(4, 1, prefix))),
  );
  expect(outcomes.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  await expect(change(ACCOUNT, many(2, 1, 'e'), ['a 0'])).resolves.toBeDefined();
  await expect(change(ACCOUNT, many(2, 1, 'f'), ['a 1'])).rejects.toMatchObject({ code: 'settings_full' });
  expect(await here.appSettings.read(userId, ACCOUNT)).toHaveProperty('a 1');
  await change(ACCOUNT, {}, Object.keys(many(SETTINGS_PER_LISTENER, 1, 'a')));
  const length = SETTING_MAX_BYTES - 2;
  const few = Math.floor(SETTINGS_MAX_BYTES / (length + 20));
  await change(ACCOUNT, many(few - 2, length, 'a'));
  await expect(change(ACCOUNT, many(4, length, 'g'))).rejects.toMatchObject({ code: 'settings_full' });
});

describe('an erasure', () => {
  const erase = async (userId: string, target: ErasureTarget, enclosure?: string) => ({
    ...(await requestErasure(accounts.dataSource, userId, target, enclosure)),
    userId,
  });

  it.each<[string, ErasureTarget, string | undefined, number[]]>([
    ['of an episode', partOf(FEED, ITEM), ENCLOSURE, [0, 1, 2, 4, 5]],
    ['of an episode that apps know by its enclosure', partOf(FEED, 'other,'), ENCLOSURE, [0, 1, 2, 4, 5]],
    ['of a podcast', partOf(FEED, null), undefined, [0, 1, 5]],
    ['of all', WHOLE_HISTORY, undefined, [0, 1]],
  ])('%s takes at once what is of it, of this listener alone', async (_, target, enclosure, left) => {
    const [ada, bob] = [await newListener(), await newListener()];
    await setAll(ada);
    await setAll(bob);
    await erase(ada, target, enclosure);
    expect(await kept(ada)).toEqual(left);
    expect(await kept(bob)).toEqual(ALL.map((_of, n) => n));
  });

  it('takes again what an older copy has brought back, and not what was set since', async () => {
    const userId = await newListener();
    const erasure = await erase(userId, partOf(FEED, null));
    await setAll(userId);
    await accounts.dataSource.query(
      `UPDATE users.app_settings SET updated_at = now() - interval '1 hour' WHERE user_id = $1 AND scope <> 'podcast'`,
      [userId],
    );
    await finishErasure(accounts.dataSource, erasure);
    expect(await kept(userId)).toEqual([0, 1, 2, 5]);
  });

  it('of the account takes all, and nothing is kept of it any more', async () => {
    const userId = await newListener();
    await setAll(userId);
    const listener = { userId, sessionId: randomUUID(), deviceId: null, deviceName: null };
    await here.closing.close(listener, password);
    expect(await kept(userId)).toEqual([]);
    await expect(there.appSettings.change(userId, ACCOUNT, { set: { a: 1 }, remove: [] })).rejects.toMatchObject({
      reason: 'account_gone',
    });
  });
});
