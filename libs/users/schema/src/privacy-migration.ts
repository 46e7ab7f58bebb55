import { MigrationInterface, QueryRunner } from 'typeorm';

export class UserPrivacy1700000000005 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users.user_privacy (
        user_id uuid NOT NULL,
        -- the episode's id, the feed's, or the listener's own: their account
        scope_id uuid NOT NULL,
        feed text,
        item text,
        -- null: removed; the row stays for its revision
        privacy text,
        changed_at timestamptz NOT NULL,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, scope_id)
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.user_privacy');
  }
}
