import { isPassingDatabaseError } from './postgres';
import { segmentOf, SEGMENTS } from './segments';

describe('segmentOf', () => {
  it('never changes: stored positions rest on it', () => {
    const users = ['', 'a', '00000000-0000-4000-8000-000000000000', '6f1c1a52-7c1e-4a5b-9b57-3f0f6a1f4a10'];
    expect(users.map((user) => segmentOf(user, 4))).toEqual([1, 0, 1, 2]);
  });

  it('spreads listeners evenly', () => {
    const counts = Array.from({ length: SEGMENTS }, () => 0);
    for (let n = 0; n < 10_000; n += 1)
      counts[segmentOf(`00000000-0000-4000-8000-${String(n).padStart(12, '0')}`, SEGMENTS)]! += 1;
    for (const count of counts) expect(Math.abs(count - 10_000 / SEGMENTS)).toBeLessThan(500);
  });
});

describe('isPassingDatabaseError', () => {
  const withCode = (code: string) => Object.assign(new Error('of the database'), { code });

  it.each(['40P01', '40001', '55P03', '57014', '57P01', '08006', '53300', '25006', 'ECONNRESET', 'ECONNREFUSED'])(
    'tries again after %s',
    (code) => expect(isPassingDatabaseError(withCode(code))).toBe(true),
  );

  it.each(['23505', '22P02', '42P01', '22001', 'ERR_INVALID_ARG_TYPE'])('does not try again after %s', (code) =>
    expect(isPassingDatabaseError(withCode(code))).toBe(false),
  );

  it('knows the lost connections that carry no code', () => {
    expect(isPassingDatabaseError(new Error('Connection terminated unexpectedly'))).toBe(true);
    expect(isPassingDatabaseError(new Error('timeout exceeded when trying to connect'))).toBe(true);
    expect(isPassingDatabaseError(new Error('Postgres has not been reached yet'))).toBe(true);
    expect(isPassingDatabaseError(new Error('poison'))).toBe(false);
  });
});
