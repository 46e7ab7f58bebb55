import { EXIT, runCommand, worse } from './command';
import { JOBS } from './jobs';

async function said(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await runCommand(args, {}, { line: (text) => lines.push(text), progress: process.stderr });
  return { code, lines };
}

it('lists every job', async () => {
  const { code, lines } = await said('list');
  expect([code, lines.map((line) => line.split(' ')[0])]).toEqual([EXIT.done, JOBS.map(({ name }) => name)]);
});

it('is told what to do in one way', async () => {
  for (const wrong of [['scrub'], [], ['trim', 'drift'], ['trim', '--dry'], ['all', '--dry-run=yes']]) {
    const { code, lines } = await said(...wrong);
    expect([code, lines.join()]).toEqual([EXIT.usage, expect.stringContaining('jobs <job>|all|list')]);
  }
  expect((await said('--help')).code).toBe(EXIT.done);
});

it('names every variable that is missing', async () => {
  const { code, lines } = await said('all', '--dry-run');
  expect([code, lines.join()]).toEqual([EXIT.usage, expect.stringMatching(/EVENTSTORE_URL[^]*SITE_DATABASE_URL/)]);
});

it('tells of what failed before it tells of what somebody else is at', () => {
  expect([EXIT.standby, EXIT.failed, EXIT.standby, EXIT.done].reduce(worse, EXIT.done)).toBe(EXIT.failed);
  expect([EXIT.done, EXIT.standby, EXIT.done].reduce(worse, EXIT.done)).toBe(EXIT.standby);
});

it('has a lock of its own for each job', () => {
  expect(new Set(JOBS.map(({ lock }) => lock)).size).toBe(JOBS.length);
});
