import { MigrationInterface, QueryRunner } from 'typeorm';

export class Activity1700000000410 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- when the last thing was recorded that the listener did, in whole steps of ACTIVITY_STEP_MS: null, nothing since this column is
      -- there. Most events change neither it nor, with it, the index.
      ALTER TABLE users.listener_revisions ADD COLUMN active_at timestamptz(0);
      CREATE INDEX listener_revisions_active ON users.listener_revisions (active_at, user_id) WHERE active_at IS NOT NULL;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP INDEX users.listener_revisions_active; ALTER TABLE users.listener_revisions DROP COLUMN active_at',
    );
  }
}
