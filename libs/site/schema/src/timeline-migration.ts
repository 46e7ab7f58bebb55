import { MigrationInterface, QueryRunner } from 'typeorm';

export class TimelineOfFeedAndType1700000000320 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Of a podcast with very many events those of a rare type are not to be looked for among all.
    await runner.query(
      `CREATE INDEX public_events_of_feed_and_type ON site.public_events (feed_id, event_type, recorded_at, id)`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX site.public_events_of_feed_and_type');
  }
}
