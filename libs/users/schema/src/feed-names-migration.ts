import { MigrationInterface, QueryRunner } from 'typeorm';

export class FeedNames1700000000490 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users.feed_names (
        user_id uuid NOT NULL,
        -- a device of an app, one of the apps' passwords, or the account's
        client text NOT NULL,
        feed_id uuid NOT NULL,
        feed text NOT NULL,
        -- the address by which that client knows it
        known_as text NOT NULL,
        told_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, client, feed_id)
      );
      -- where feeds have gone for good, as far as somebody has to do with them
      CREATE TABLE users.feed_moves (
        feed_id uuid PRIMARY KEY,
        moved_to text NOT NULL
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.feed_moves, users.feed_names');
  }
}
