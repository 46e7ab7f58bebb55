import { createRole } from '@balados/platform-stores';
import { MigrationInterface, QueryRunner } from 'typeorm';

export class FeedReader1700000000255 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(createRole('balados_feed_reader'));
    await runner.query(`
      GRANT USAGE ON SCHEMA users TO balados_feed_reader;
      GRANT SELECT (id, user_id, kind, secret_hash, revoked_at, last_used_at) ON users.api_tokens TO balados_feed_reader;
      GRANT SELECT (user_id, feed, subscribed_at, subscribed) ON users.subscriptions TO balados_feed_reader;
      GRANT SELECT (user_id, playlist_id, name, description, deleted_at, item_order) ON users.playlists TO balados_feed_reader;
      GRANT SELECT (user_id, playlist_id, item_id, feed, item, created_at, deleted_at) ON users.playlist_items
        TO balados_feed_reader;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      REVOKE ALL ON users.api_tokens, users.subscriptions, users.playlists, users.playlist_items FROM balados_feed_reader;
      REVOKE ALL ON SCHEMA users FROM balados_feed_reader;`);
  }
}
