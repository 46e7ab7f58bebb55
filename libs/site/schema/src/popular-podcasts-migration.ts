import { MigrationInterface, QueryRunner } from 'typeorm';

export class PopularPodcasts1700000000460 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE INDEX podcast_popularity_popular ON site.podcast_popularity (score DESC, feed_id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX site.podcast_popularity_popular');
  }
}
