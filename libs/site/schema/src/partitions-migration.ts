import { MigrationInterface, QueryRunner } from 'typeorm';
import { makePartition, timelinePartitions } from './timeline-partitions';

const INDEXES: readonly [string, string][] = [
  ['public_events_of_type', 'event_type, recorded_at, id'],
  ['public_events_of_feed', 'feed_id, recorded_at, id'],
  ['public_events_of_feed_and_type', 'feed_id, event_type, recorded_at, id'],
];

/** Makes the timeline anew with the rows that it had. */
const remade = (partitioning: string, partitions: string): string => `
  ALTER TABLE site.public_events RENAME TO public_events_old;
  ALTER TABLE site.public_events_old RENAME CONSTRAINT public_events_pkey TO public_events_old_pkey;
  CREATE TABLE site.public_events (LIKE site.public_events_old) ${partitioning};
  ${partitions}
  INSERT INTO site.public_events SELECT * FROM site.public_events_old;
  DROP TABLE site.public_events_old;
  ALTER TABLE site.public_events ADD CONSTRAINT public_events_pkey PRIMARY KEY (recorded_at, id);
  ${INDEXES.map(([name, columns]) => `CREATE INDEX ${name} ON site.public_events (${columns});`).join(' ')}
  GRANT SELECT ON site.public_events TO balados_site_reader;`;

export class TimelinePartitions1700000000360 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(
      remade(
        'PARTITION BY RANGE (recorded_at)',
        timelinePartitions(Date.now()).partitions.map(makePartition).join(' '),
      ),
    );
    // What was recorded before it is not put into the timeline; jobs move it on.
    await runner.query(
      `ALTER TABLE site_private.popularity_window ADD COLUMN timeline_starts_at timestamptz(3) NOT NULL DEFAULT '-infinity'`,
    );
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(remade('', ''));
    await runner.query('ALTER TABLE site_private.popularity_window DROP COLUMN timeline_starts_at');
  }
}
