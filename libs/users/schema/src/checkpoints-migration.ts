import { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A stream with more events than this since its checkpoint, and more than that repeats, gets another one: some 50 µs an event, so that it
 * is folded anew within 100 ms.
 */
export const LONG_STREAM_EVENTS = 1_000;

const isLong = (events: number): string => `revision - checkpointed > greatest(${events}, repeated)`;

export class Checkpoints1700000000260 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE users.listener_revisions
        -- revision of the last part of the newest checkpoint, and when the first event after it was recorded: null, there is none
        ADD COLUMN checkpointed bigint NOT NULL DEFAULT -1,
        ADD COLUMN oldest_at timestamptz(3),
        -- events that the newest checkpoint repeats
        ADD COLUMN repeated integer NOT NULL DEFAULT 0,
        -- of the checkpoint before which the stream was cut last
        ADD COLUMN cut bigint NOT NULL DEFAULT -1,
        ADD COLUMN is_long boolean NOT NULL
          GENERATED ALWAYS AS (${isLong(2_000)}) STORED;
      -- Streams that are older than this table: as if they began now.
      UPDATE users.listener_revisions SET oldest_at = now();
      CREATE INDEX listener_revisions_oldest ON users.listener_revisions (oldest_at);
      CREATE INDEX listener_revisions_long ON users.listener_revisions (user_id) WHERE is_long;
      CREATE INDEX listener_revisions_to_cut ON users.listener_revisions (user_id) WHERE checkpointed > cut;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX users.listener_revisions_oldest, users.listener_revisions_long, users.listener_revisions_to_cut;
      ALTER TABLE users.listener_revisions DROP COLUMN is_long, DROP COLUMN cut, DROP COLUMN repeated, DROP COLUMN oldest_at,
        DROP COLUMN checkpointed;`);
  }
}

export class LongStreams1700000000495 implements MigrationInterface {
  up(runner: QueryRunner): Promise<void> {
    return judgeBy(runner, isLong(LONG_STREAM_EVENTS));
  }

  down(runner: QueryRunner): Promise<void> {
    return judgeBy(runner, isLong(2_000));
  }
}

/** Several events may be stored as one. */
export class ToldEvents1700000000500 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- events since the newest checkpoint
      ALTER TABLE users.listener_revisions ADD COLUMN told integer NOT NULL DEFAULT 0;
      UPDATE users.listener_revisions SET told = revision - checkpointed;`);
    await judgeBy(runner, `told > greatest(${LONG_STREAM_EVENTS}, repeated)`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await judgeBy(runner, isLong(LONG_STREAM_EVENTS));
    await runner.query('ALTER TABLE users.listener_revisions DROP COLUMN told');
  }
}

/** Dropping the column drops its index. */
async function judgeBy(runner: QueryRunner, condition: string): Promise<void> {
  await runner.query(`
    ALTER TABLE users.listener_revisions DROP COLUMN is_long,
      ADD COLUMN is_long boolean NOT NULL GENERATED ALWAYS AS (${condition}) STORED;
    CREATE INDEX listener_revisions_long ON users.listener_revisions (user_id) WHERE is_long;`);
}
