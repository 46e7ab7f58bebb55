import { accountsOnPostgres, bearer, Instance, password, phone, TestAccounts } from './testing';

let test: TestAccounts;
let one: Instance;

beforeAll(async () => {
  test = await accountsOnPostgres();
  one = await test.start();
});
afterAll(() => test.close());

let names = 0;
const register = async (): Promise<{ userId: string; username: string }> =>
  one.accounts.create({ username: `listener-${names++}`, password });

it('knows a listener by the token of a login', async () => {
  const { userId, username } = await register();
  const tokens = await one.sessions.login({ username, password, ...phone });
  expect(await one.authenticate(bearer(tokens.accessToken))).toMatchObject({ userId, ...phone });
});
