// Installs what package-lock.json asks for, once: the stamp in node_modules names the lock file that it was made from.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const stamp = resolve(root, 'node_modules/.balados-lock');
const wanted = createHash('sha256')
  .update(readFileSync(resolve(root, 'package-lock.json')))
  .digest('hex');

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Balados Sync needs Node 20.19 or later; this is ${process.version}. Install a newer Node and try again.`,
  );
  process.exit(1);
}
// A linked folder is another checkout's: npm ci would empty it under that one's feet.
const linked = lstatSync(resolve(root, 'node_modules'), { throwIfNoEntry: false })?.isSymbolicLink();
if (!linked && (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== wanted)) {
  console.log('Installing dependencies (once, about a minute) …');
  const { status } = spawnSync('npm', ['ci', '--no-audit', '--no-fund', '--loglevel=error'], {
    cwd: root,
    stdio: 'inherit',
  });
  if (status !== 0) {
    console.error('npm ci failed; see above. Is the npm registry reachable?');
    process.exit(status ?? 1);
  }
  writeFileSync(stamp, wanted);
}
