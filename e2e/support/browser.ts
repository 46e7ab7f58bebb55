import { spawnSync } from 'node:child_process';
import { resolve } from 'node:path';
import { report } from './limits';

/** For a browser without a screen that asks nobody for anything. */
export const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--disable-dev-shm-usage',
];

/**
 * Where a Chromium is, which is installed if that can be; undefined where there is none, which is said once. For suites that want one.
 * CI has looked before, and says by TEST_CHROMIUM where it is, or that there is none.
 */
export function chromiumOrNone(): string | undefined {
  const { TEST_CHROMIUM: known } = process.env;
  if (known) return known;
  if (known === '') {
    report('skipped: there is no Chromium; the beginning of this run says why');
    return undefined;
  }
  const { status, stdout, stderr } = spawnSync(process.execPath, [resolve('tools/chromium.mjs')], { encoding: 'utf8' });
  if (status === 0) return stdout.trim();
  report(`skipped: ${stderr.trim()}`);
  return undefined;
}
