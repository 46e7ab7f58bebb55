import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** Where packages are unpacked. */
const CACHE = resolve('node_modules/.cache/debian');

/** A package cannot be got here: no Debian, or its servers cannot be reached. */
export class NoPackage extends Error {}

/**
 * The folder in which packages of Debian's lie unpacked together, which apt fetches if they are not there yet; nothing is installed.
 * @param names it is called by the first
 * @param say told when they have to be fetched
 * @throws NoPackage
 */
export function unpackDebian(
  names: readonly [string, ...string[]],
  say: (text: string) => void = () => undefined,
): string {
  const [name] = names;
  const unpacked = join(CACHE, name);
  if (existsSync(unpacked)) return unpacked;
  mkdirSync(CACHE, { recursive: true });
  // Of several that look for one at the same time the first has it unpacked.
  const folder = mkdtempSync(`${unpacked}-`);
  try {
    say(`fetching ${name} from Debian`);
    const run = (command: string, ...args: string[]): unknown =>
      execFileSync(command, args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'], timeout: 120_000 });
    try {
      run('apt-get', 'download', ...names);
    } catch {
      // No lists of packages yet.
      run('apt-get', 'update');
      run('apt-get', 'download', ...names);
    }
    for (const each of readdirSync(folder).filter((file) => file.endsWith('.deb'))) run('dpkg-deb', '-x', each, '.');
    // The folder of others, and of an earlier run that was ended, is not empty.
    if (!existsSync(unpacked)) renameSync(folder, unpacked);
    return unpacked;
  } catch (error) {
    if (existsSync(unpacked)) return unpacked;
    const reason = (error as Error).message.trim().split('\n').at(-1);
    throw new NoPackage(`Debian's ${name} could not be fetched (${reason})`);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
