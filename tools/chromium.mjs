// Where a Chromium is: node tools/chromium.mjs prints its path. The one that is installed; where there is none, and this is root on a
// Debian, apt installs it. Fails with a sentence that says why. Needs no package, so that CI begins with it before those are installed.
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
/** apt waits so long for another apt, in seconds. */
const LOCK_S = 120;
const INSTALL_LIMIT_MS = 150_000;

function installed() {
  for (const folder of (process.env.PATH ?? '').split(':'))
    for (const name of NAMES) if (existsSync(join(folder, name))) return join(folder, name);
  return undefined;
}

function install() {
  if (process.platform !== 'linux' || process.getuid() !== 0) throw new Error('only root can have apt install it');
  const apt = (...args) =>
    execFileSync('apt-get', ['-q', '-o', `DPkg::Lock::Timeout=${LOCK_S}`, ...args], {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      stdio: ['ignore', 'ignore', 'pipe'],
      timeout: INSTALL_LIMIT_MS,
    });
  const get = () => apt('install', '-y', '--no-install-recommends', 'chromium');
  try {
    get();
  } catch {
    // No lists of packages yet.
    apt('update');
    get();
  }
}

try {
  if (!installed()) install();
  console.log(installed());
} catch (error) {
  const [reason] = String(error.stderr || error.message)
    .trim()
    .split('\n')
    .slice(-1);
  console.error(`There is no Chromium, and Debian's could not be had (${reason}). Install it, or put it on the PATH.`);
  process.exitCode = 1;
}
