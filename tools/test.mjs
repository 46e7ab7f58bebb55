// npm test: installs what is missing, then runs Jest in four stages, one after another, and adds their counts up.
// The last line is `N passed, N failed` (and `, N skipped`). --long runs more rounds; other arguments go to Jest.
// For a caller who adds checks of its own: TEST_APPS_BUILT=1, dist/apps is built already; TEST_SUMMARY=<file>, the counts are written there
// as JSON instead.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

/** How long a stage may take on a busy machine, in seconds, before it is ended and counts as failed; a quiet one needs a third. */
const STAGE_LIMIT_S = { unit: 600, int: 900, e2e: 1_200, alone: 600 };
/** Suites at a time, by processors. Those of int and e2e wait half of their time: for leases to run out, for processes to come and go. */
const SUITES = { unit: 1, int: 1.5, e2e: 1.5, alone: 0 };
/** Their Postgres has no more connections than for so many. */
const MOST_SUITES = 8;
const workersOf = (stage) => Math.min(Math.max(Math.floor(SUITES[stage] * availableParallelism()), 1), MOST_SUITES);
/** --long: by how much more. */
const LONG_FACTOR = 6;
const PROGRESS_EVERY_S = 60;

const root = resolve(import.meta.dirname, '..');
const long = process.argv.includes('--long');
const toJest = process.argv.slice(2).filter((argument) => argument !== '--long');
const counts = { passed: 0, failed: 0, skipped: 0 };
let current;
let interrupted;
/** Whether dist/apps is built from these sources; the first stage that needs it builds it. */
let isBuilt = process.env.TEST_APPS_BUILT === '1';
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.on(signal, () => {
    interrupted = signal;
    current?.kill(signal);
  });
}

const install = spawnSync(process.execPath, [resolve(root, 'tools/install.mjs')], { stdio: 'inherit' });
if (install.status !== 0) counts.failed += 1;
else for (const stage of Object.keys(STAGE_LIMIT_S)) if (!interrupted) await run(stage);
close();

async function run(stage) {
  const folder = mkdtempSync(join(tmpdir(), 'balados-summary-'));
  const outputFile = join(folder, 'jest.json');
  const limitS = STAGE_LIMIT_S[stage] * (long ? LONG_FACTOR : 1);
  const jest = resolve(root, 'node_modules/jest/bin/jest.js');
  const flags = [
    '-c',
    'jest.config.js',
    `--maxWorkers=${workersOf(stage)}`,
    '--passWithNoTests',
    '--json',
    `--outputFile=${outputFile}`,
  ];
  console.log(`\n== ${stage} tests (at most ${limitS} s)`);
  const startedAt = Date.now();
  const seconds = () => Math.round((Date.now() - startedAt) / 1000);

  current = spawn(process.execPath, [jest, ...flags, ...toJest], {
    cwd: root,
    env: {
      ...process.env,
      TEST_STAGE: stage,
      ...(long && { LONG_TESTS: '1' }),
      ...(isBuilt && { TEST_APPS_BUILT: '1' }),
    },
    // Its JSON goes to the file; what it says of each suite comes on stderr.
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  let late = false;
  const limit = setTimeout(() => {
    late = true;
    current.kill('SIGKILL');
  }, limitS * 1000);
  const progress = setInterval(() => console.log(`== ${stage} tests: ${seconds()} s`), PROGRESS_EVERY_S * 1000);
  const status = await new Promise((resolve) => current.on('exit', (code, signal) => resolve(signal ?? code)));
  clearTimeout(limit);
  clearInterval(progress);

  const result = read(outputFile);
  // Where there is a result, the set-up has passed, and with it the build.
  if (result && stage !== 'unit') isBuilt = true;
  rmSync(folder, { recursive: true });
  const failed = result ? result.numFailedTests + result.numRuntimeErrorTestSuites : 0;
  counts.passed += result?.numPassedTests ?? 0;
  counts.skipped += result ? result.numPendingTests + result.numTodoTests : 0;
  counts.failed += failed;
  if (late) console.log(`== ${stage} tests: ended after their limit of ${limitS} s`);
  // Jest itself failed: killed, a broken configuration, a set-up or teardown that threw.
  if (status !== 0 && failed === 0) counts.failed += 1;
  console.log(`== ${stage} tests: ${status === 0 ? 'green' : `red (${status})`} after ${seconds()} s`);
}

function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

function close() {
  const { passed, failed, skipped } = counts;
  if (passed + failed === 0) console.log('No test ran.');
  if (process.env.TEST_SUMMARY) writeFileSync(process.env.TEST_SUMMARY, JSON.stringify(counts));
  else console.log(`${passed} passed, ${failed} failed${skipped ? `, ${skipped} skipped` : ''}`);
  process.exitCode = failed > 0 || passed === 0 || interrupted ? 1 : 0;
}
