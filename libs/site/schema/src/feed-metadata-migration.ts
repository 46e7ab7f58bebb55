import { MigrationInterface, QueryRunner } from 'typeorm';

export class FeedMetadata1700000000340 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- What a feed says of itself is asked for from this time on; a new one at once.
      ALTER TABLE site_private.feeds ADD COLUMN metadata_due_at timestamptz NOT NULL DEFAULT '-infinity',
        ADD COLUMN metadata_failures integer NOT NULL DEFAULT 0,
        -- its publisher does not want it listed: it is never public
        ADD COLUMN blocked boolean NOT NULL DEFAULT false;
      CREATE INDEX feeds_metadata_due ON site_private.feeds (metadata_due_at);`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX site_private.feeds_metadata_due;
      ALTER TABLE site_private.feeds DROP COLUMN metadata_due_at, DROP COLUMN metadata_failures, DROP COLUMN blocked;`);
  }
}
