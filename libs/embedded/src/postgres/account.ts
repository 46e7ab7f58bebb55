import { spawnSync } from 'node:child_process';
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** Whom Postgres runs as. Empty: whoever we are. */
export interface Account {
  uid?: number;
  gid?: number;
}

const ACCOUNT_NAME = 'postgres';

/**
 * Postgres refuses to run as root. Started by root it runs as the owner of its files, or on the first start as the
 * user "postgres", which is created when the machine has none.
 */
export function accountFor(cluster: string): Account {
  if (process.getuid?.() !== 0) return {};
  const owner = statSync(cluster, { throwIfNoEntry: false });
  if (owner && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid };
  const existing = lookUp();
  if (existing) return existing;
  const flags = ['--system', '--user-group', '--no-create-home', '--shell', '/usr/sbin/nologin'];
  const { stderr, error } = spawnSync('useradd', [...flags, ACCOUNT_NAME], { encoding: 'utf8' });
  const created = lookUp();
  if (created) return created;
  throw new Error(
    `Postgres does not run as root, and the user "${ACCOUNT_NAME}" that it would run as could not be created ` +
      `(${error?.message ?? stderr.trim()}). Create that user, or start as a normal user.`,
  );
}

function lookUp(): Account | undefined {
  const [uid, gid] = ['-u', '-g'].map((flag) => spawnSync('id', [flag, ACCOUNT_NAME], { encoding: 'utf8' }));
  return uid?.status === 0 && gid?.status === 0 ? { uid: Number(uid.stdout), gid: Number(gid.stdout) } : undefined;
}

/** The uppermost folder on the way to `path` that the account may not enter, with its mode, or undefined. */
export function closedFolder(path: string, { uid, gid }: Account): { folder: string; mode: string } | undefined {
  if (uid === undefined) return undefined;
  const folders: string[] = [];
  for (let folder = path; ; folder = dirname(folder)) {
    folders.unshift(folder);
    if (folder === dirname(folder)) break;
  }
  for (const folder of folders) {
    const { mode, ...owner } = statSync(folder);
    const mayEnter = owner.uid === uid ? 0o100 : owner.gid === gid ? 0o010 : 0o001;
    if (!(mode & mayEnter)) return { folder, mode: (mode & 0o777).toString(8) };
  }
  return undefined;
}
