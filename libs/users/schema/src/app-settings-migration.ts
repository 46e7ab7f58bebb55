import { MigrationInterface, QueryRunner } from 'typeorm';

export class AppSettings1700000000461 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- What apps keep with us by a name of theirs; it says nothing to us.
      CREATE TABLE users.app_settings (
        user_id uuid NOT NULL,
        scope text NOT NULL CHECK (scope IN ('account', 'device', 'podcast', 'episode')),
        -- what it is of: nothing for the account, a device's id, the id of a podcast, or that of an episode by its enclosure alone
        subject text NOT NULL,
        key text NOT NULL,
        -- as it was sent
        value json NOT NULL,
        -- of a podcast or an episode: its addresses
        feed text,
        enclosure text,
        -- and what an erasure may name it by; of the episode by its guid, where that was known
        feed_id uuid,
        episode_id uuid,
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, scope, subject, key),
        CHECK ((feed_id IS NOT NULL) = (scope IN ('podcast', 'episode'))),
        CHECK ((episode_id IS NOT NULL) = (scope = 'episode'))
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.app_settings');
  }
}
