import { Refusal } from '@balados/event-sourcing';
import { episodeId, feedId } from '@balados/feeds-ids';
import { Sql } from '@balados/platform-stores';
import { DataSource } from 'typeorm';
import { Unauthenticated } from './errors';

/** What apps may keep of one listener: so many settings, so many bytes of values, names and addresses, and so many of one value. */
export const SETTINGS_PER_LISTENER = 5_000;
export const SETTINGS_MAX_BYTES = 1_048_576;
export const SETTING_MAX_BYTES = 4_096;

/** What settings are of. `feed` is a canonical URL. */
export type SettingsOf =
  | { scope: 'account' }
  | { scope: 'device'; deviceId: string }
  | { scope: 'podcast'; feed: string }
  /** Apps name an episode by its enclosure; `item` is what it is known as, `<guid>,<enclosure>`. */
  | { scope: 'episode'; feed: string; enclosure: string; item: string };

export interface SettingChanges {
  set: Readonly<Record<string, unknown>>;
  /** Removed also when they are set at the same time. */
  remove: readonly string[];
}

/** A thing's settings by their names, which are the apps' own. */
export type Settings = Record<string, unknown>;

const SIZE = `octet_length(subject) + octet_length(key) + octet_length(value::text)
  + coalesce(octet_length(feed), 0) + coalesce(octet_length(enclosure), 0)`;

/** What apps keep with us, and what they read of it; it moves nothing else. */
export class AppSettings {
  constructor(private readonly dataSource: DataSource) {}

  read(userId: string, of: SettingsOf): Promise<Settings> {
    return read(this.dataSource, userId, of);
  }

  /**
   * All of it or nothing; those that are not named stay. A listener's changes are made one after the other.
   * @returns how they stand then
   * @throws Refusal `setting_too_large`, `settings_full`; Unauthenticated when the account was closed meanwhile
   */
  async change(userId: string, of: SettingsOf, { set, remove }: SettingChanges): Promise<Settings> {
    const removed = new Set(remove);
    const kept = Object.entries(set).filter(([key]) => !removed.has(key));
    const values = kept.map(([key, value]) => written(key, value));
    if (kept.length > SETTINGS_PER_LISTENER) throw full();
    return this.dataSource.transaction(async (sql) => {
      await lockAccount(sql, userId);
      const subject = subjectOf(of);
      await sql.query(
        'DELETE FROM users.app_settings WHERE user_id = $1 AND scope = $2 AND subject = $3 AND key = ANY ($4::text[])',
        [userId, of.scope, subject, [...removed]],
      );
      if (kept.length > 0) {
        const { feed = null, enclosure = null, item } = of as { feed?: string; enclosure?: string; item?: string };
        await sql.query(
          `INSERT INTO users.app_settings (user_id, scope, subject, key, value, feed, enclosure, feed_id, episode_id)
           SELECT $1::uuid, $2, $3, key, value::json, $6, $7, $8::uuid, $9::uuid FROM unnest($4::text[], $5::text[]) AS t (key, value)
           ON CONFLICT (user_id, scope, subject, key) DO UPDATE
             SET value = excluded.value, episode_id = excluded.episode_id, updated_at = now()`,
          [
            ...[userId, of.scope, subject, kept.map(([key]) => key), values, feed, enclosure],
            ...[feed && feedId(feed), feed && item ? episodeId(feed, item) : null],
          ],
        );
        await assertRoom(sql, userId);
      }
      return read(sql, userId, of);
    });
  }
}

async function read(sql: Sql, userId: string, of: SettingsOf): Promise<Settings> {
  const rows = await sql.query<{ key: string; value: unknown }[]>(
    'SELECT key, value FROM users.app_settings WHERE user_id = $1 AND scope = $2 AND subject = $3 ORDER BY key',
    [userId, of.scope, subjectOf(of)],
  );
  return Object.fromEntries(rows.map(({ key, value }) => [key, value]));
}

function subjectOf(of: SettingsOf): string {
  switch (of.scope) {
    case 'account':
      return '';
    case 'device':
      return of.deviceId;
    case 'podcast':
      return feedId(of.feed);
    case 'episode':
      return episodeId(of.feed, `,${of.enclosure}`);
  }
}

function written(key: string, value: unknown): string {
  const text = JSON.stringify(value);
  if (Buffer.byteLength(text) > SETTING_MAX_BYTES)
    throw new Refusal('setting_too_large', `the value of ${key} is longer than ${SETTING_MAX_BYTES} bytes`);
  return text;
}

/** Until the transaction ends nobody else changes the listener's settings, nor closes the account. */
async function lockAccount(sql: Sql, userId: string): Promise<void> {
  const open = await sql.query<unknown[]>(
    'SELECT FROM users.accounts WHERE user_id = $1 AND closed_at IS NULL FOR NO KEY UPDATE',
    [userId],
  );
  if (open.length === 0) throw new Unauthenticated('account_gone', 'This account was deleted.');
}

async function assertRoom(sql: Sql, userId: string): Promise<void> {
  const [held] = await sql.query<{ count: string; bytes: string }[]>(
    `SELECT count(*) AS count, sum(${SIZE}) AS bytes FROM users.app_settings WHERE user_id = $1`,
    [userId],
  );
  if (Number(held!.count) <= SETTINGS_PER_LISTENER && Number(held!.bytes) <= SETTINGS_MAX_BYTES) return;
  throw full();
}

const full = (): Refusal =>
  new Refusal(
    'settings_full',
    `of a listener's apps ${SETTINGS_PER_LISTENER} settings are kept, in ${SETTINGS_MAX_BYTES} bytes, and no more`,
  );
