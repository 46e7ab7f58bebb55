import { MigrationInterface, QueryRunner } from 'typeorm';

export class Ends1700000000290 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- of the ends that the newest checkpoint tells with all their content, when the first was recorded: null, there is none
      ALTER TABLE users.listener_revisions ADD COLUMN ended_at timestamptz(3);
      CREATE INDEX listener_revisions_ended ON users.listener_revisions (ended_at) WHERE ended_at IS NOT NULL;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(
      'DROP INDEX users.listener_revisions_ended; ALTER TABLE users.listener_revisions DROP COLUMN ended_at',
    );
  }
}
