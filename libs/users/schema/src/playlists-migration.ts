import { MigrationInterface, QueryRunner } from 'typeorm';

export class Playlists1700000000003 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- deleted playlists and removed items stay, for a newer claim may bring them back
      CREATE TABLE users.playlists (
        user_id uuid NOT NULL,
        playlist_id uuid NOT NULL,
        name text NOT NULL,
        description text,
        updated_at timestamptz NOT NULL,
        deleted_at timestamptz,
        revision bigint NOT NULL,
        -- ids of items, the first one first; those that it does not name come after, as they were added
        item_order uuid[] NOT NULL DEFAULT '{}',
        ordered_at timestamptz,
        order_revision bigint NOT NULL,
        -- clients choose the ids, so two listeners may choose the same
        PRIMARY KEY (user_id, playlist_id)
      );
      CREATE TABLE users.playlist_items (
        user_id uuid NOT NULL,
        playlist_id uuid NOT NULL,
        -- the episode's id
        item_id uuid NOT NULL,
        feed text NOT NULL,
        item text NOT NULL,
        item_title text,
        feed_title text,
        created_at timestamptz NOT NULL,
        updated_at timestamptz NOT NULL,
        deleted_at timestamptz,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, playlist_id, item_id)
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.playlist_items, users.playlists');
  }
}
