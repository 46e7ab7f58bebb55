import { MigrationInterface, QueryRunner } from 'typeorm';

export class Comparison1700000000370 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Where whoever compares counts with contributions has stopped: null, begin with the first podcast.
    await runner.query('ALTER TABLE site_private.popularity_window ADD COLUMN compared_up_to uuid');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('ALTER TABLE site_private.popularity_window DROP COLUMN compared_up_to');
  }
}
