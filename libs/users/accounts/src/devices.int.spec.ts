import { DEVICES_PER_LISTENER } from './devices';
import { accountsOnPostgres, Instance, password, TestAccounts } from './testing';

let test: TestAccounts;
let one: Instance;
let two: Instance;
let nth = 0;

beforeAll(async () => {
  test = await accountsOnPostgres();
  [one, two] = await Promise.all([test.start(), test.start()]);
});
afterAll(() => test.close());

const newListener = async (): Promise<string> =>
  (await one.accounts.create({ username: `ann-${(nth += 1)}`, password })).userId;
const seenAt = async (userId: string): Promise<Map<string, number>> => {
  const rows = await test.dataSource.query<{ device_id: string; seen_at: Date }[]>(
    'SELECT device_id, seen_at FROM users.devices WHERE user_id = $1',
    [userId],
  );
  return new Map(rows.map(({ device_id, seen_at }) => [device_id, seen_at.getTime()]));
};

it('a device that writes again and again is written once, and a new one beside it at once', async () => {
  const [ann, bob] = [await newListener(), await newListener()];
  await one.devices.note(ann, ['phone']);
  const before = await seenAt(ann);
  await one.devices.note(ann, ['phone', 'laptop']);
  await one.devices.tell(ann, { deviceId: 'phone' });
  const after = await seenAt(ann);
  expect([...after.keys()].sort()).toEqual(['laptop', 'phone']);
  expect(after.get('phone')).toBe(before.get('phone'));
  // What one process remembers is of one listener, and no other process's.
  await one.devices.note(bob, ['phone']);
  expect([...(await seenAt(bob)).keys()]).toEqual(['phone']);
  await two.devices.note(ann, ['phone']);
  expect((await seenAt(ann)).get('phone')).toBeGreaterThan(before.get('phone')!);
});

it('is named by its app whenever that says something, and keeps what is not said', async () => {
  const ann = await newListener();
  await one.devices.note(ann, ['phone']);
  await one.devices.tell(ann, { deviceId: 'phone', caption: 'My phone' });
  await one.devices.tell(ann, { deviceId: 'phone', type: 'mobile' });
  await one.devices.tell(ann, { deviceId: 'phone' });
  expect(await one.devices.list(ann)).toEqual([{ deviceId: 'phone', caption: 'My phone', type: 'mobile' }]);
});

it(`of more than ${DEVICES_PER_LISTENER} those are kept that wrote last`, async () => {
  const ann = await newListener();
  for (let n = 0; n < DEVICES_PER_LISTENER + 2; n += 1) await one.devices.note(ann, [`device-${n}`]);
  const kept = await one.devices.list(ann);
  expect(kept).toHaveLength(DEVICES_PER_LISTENER);
  for (const gone of ['device-0', 'device-1']) expect(kept.map(({ deviceId }) => deviceId)).not.toContain(gone);
});
