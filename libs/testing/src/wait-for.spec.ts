import { waitFor } from './wait-for';

it('gives what the condition gave once it was met', async () => {
  const answers = [undefined, 0, 'there'];
  expect(await waitFor(() => answers.shift(), { what: 'an answer' })).toBe('there');
  expect(answers).toEqual([]);
});

it('takes a condition that throws as not met yet', async () => {
  let attempts = 0;
  const condition = async () => {
    attempts += 1;
    if (attempts < 3) throw new Error('connection refused');
    return true;
  };
  expect(await waitFor(condition, { what: 'a connection' })).toBe(true);
});

it('says what it waited for, and why it was not met', async () => {
  const refused = () => Promise.reject(new Error('connection refused'));
  await expect(waitFor(refused, { what: 'a connection', timeoutMs: 30 })).rejects.toThrow(
    'Waited 30 ms in vain for a connection: it threw Error: connection refused',
  );
  await expect(waitFor(() => 0, { what: 'a row', timeoutMs: 30 })).rejects.toThrow('for a row: it gave 0');
});
