import { forgetSkipped, Sql } from '@balados/platform-stores';

/**
 * Deletes what is kept of a listener whose streams are gone and whose contributions were erased: that nothing of them be shown, and how
 * far their streams had come.
 */
export async function forgetListener(sql: Sql, listener: string): Promise<void> {
  await sql.query('DELETE FROM privacy_settings WHERE listener = $1', [listener]);
  await sql.query('DELETE FROM listener_revisions WHERE user_id = $1', [listener]);
  await forgetSkipped(sql, 'site_private', listener);
}
