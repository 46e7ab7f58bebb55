import { MigrationInterface, QueryRunner } from 'typeorm';

export class Erasures1700000000231 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- nobody logs in any more; the row stays, and its name is taken, until the erasure is done
      ALTER TABLE users.accounts ADD COLUMN closed_at timestamptz;
      ALTER TABLE users.outside_listeners ADD COLUMN closed_at timestamptz;

      -- What is to be erased, and what was: whoever rebuilds from an older copy of the log erases it again.
      CREATE TABLE users.erasures (
        id uuid PRIMARY KEY,
        -- null: it is done
        user_id uuid,
        -- SHA-256 of the user id, which is random: nobody can guess it back
        user_hash bytea NOT NULL,
        scope text NOT NULL CHECK (scope IN ('account', 'history')),
        requested_at timestamptz(3) NOT NULL DEFAULT now(),
        finished_at timestamptz(3),
        CHECK ((user_id IS NULL) = (finished_at IS NOT NULL))
      );
      CREATE INDEX erasures_pending ON users.erasures (requested_at) WHERE user_id IS NOT NULL;
      CREATE UNIQUE INDEX erasures_of_account ON users.erasures (user_hash) WHERE scope = 'account';
      CREATE INDEX erasures_of_listener ON users.erasures (user_hash);`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE users.erasures;
      ALTER TABLE users.outside_listeners DROP COLUMN closed_at;
      ALTER TABLE users.accounts DROP COLUMN closed_at;`);
  }
}

export class ErasuresOfParts1700000000240 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Ids, which are hashes: the address of what was erased would be a trace of it.
      ALTER TABLE users.erasures ADD COLUMN feed_id uuid, ADD COLUMN episode_id uuid,
        DROP CONSTRAINT erasures_scope_check,
        ADD CONSTRAINT erasures_scope_check CHECK (scope IN ('account', 'history', 'podcast', 'episode')),
        ADD CHECK ((feed_id IS NOT NULL) = (scope IN ('podcast', 'episode'))),
        ADD CHECK ((episode_id IS NOT NULL) = (scope = 'episode'));`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DELETE FROM users.erasures WHERE feed_id IS NOT NULL;
      ALTER TABLE users.erasures DROP COLUMN feed_id, DROP COLUMN episode_id,
        DROP CONSTRAINT erasures_scope_check,
        ADD CONSTRAINT erasures_scope_check CHECK (scope IN ('account', 'history'));`);
  }
}
