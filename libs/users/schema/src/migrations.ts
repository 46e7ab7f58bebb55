import { projectorTables } from '@balados/platform-stores';
import { MigrationInterface, QueryRunner } from 'typeorm';

export class Accounts1700000000001 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users.accounts (
        user_id uuid PRIMARY KEY,
        username text NOT NULL,
        -- what must be unique: the name without case and compatibility forms
        username_key text NOT NULL UNIQUE,
        password_hash text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE TABLE users.api_tokens (
        id uuid PRIMARY KEY,
        user_id uuid NOT NULL,
        kind text NOT NULL CHECK (kind IN ('session', 'personal')),
        name text,
        device_id text,
        device_name text,
        -- SHA-256; the secret itself is not kept
        secret_hash bytea NOT NULL UNIQUE,
        -- SHA-256 of what all refresh tokens of one session begin with: an old one, however old, still finds its session
        family_hash bytea UNIQUE,
        -- the refresh token before the last rotation: sent again shortly after, it was a retry; later, a theft
        previous_secret_hash bytea,
        -- the previous secret and this make the present one, so that a retry gets the same answer
        rotation_salt bytea,
        rotated_at timestamptz,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_used_at timestamptz,
        expires_at timestamptz,
        revoked_at timestamptz,
        CHECK (kind <> 'session' OR (family_hash IS NOT NULL AND expires_at IS NOT NULL))
      );
      CREATE INDEX api_tokens_user ON users.api_tokens (user_id, created_at);
      CREATE INDEX api_tokens_expiry ON users.api_tokens (expires_at) WHERE expires_at IS NOT NULL;
      CREATE INDEX api_tokens_revoked ON users.api_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
      CREATE TABLE users.signing_keys (
        -- one key for each purpose, whoever makes it first
        purpose text PRIMARY KEY,
        kid text NOT NULL UNIQUE,
        private_key text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now()
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.signing_keys, users.api_tokens, users.accounts');
  }
}

export class ReadModels1700000000002 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users.subscriptions (
        user_id uuid NOT NULL,
        feed_id uuid NOT NULL,
        feed text NOT NULL,
        source_id text,
        subscribed_at timestamptz,
        unsubscribed_at timestamptz,
        subscribed boolean NOT NULL,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, feed_id)
      );
      CREATE TABLE users.play_statuses (
        user_id uuid NOT NULL,
        episode_id uuid NOT NULL,
        feed_id uuid NOT NULL,
        feed text NOT NULL,
        item text NOT NULL,
        position double precision NOT NULL,
        played boolean NOT NULL,
        updated_at timestamptz NOT NULL,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, episode_id)
      ) WITH (fillfactor = 80);
      CREATE INDEX play_statuses_recent ON users.play_statuses (user_id, updated_at DESC, episode_id);
      -- how far each stream of a listener has come into the tables above
      CREATE TABLE users.listener_revisions (
        user_id uuid NOT NULL,
        category text NOT NULL,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, category)
      ) WITH (fillfactor = 80);
      ${projectorTables('users')}`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`DROP TABLE users.projector_members, users.projector_segments, users.listener_revisions,
      users.play_statuses, users.subscriptions`);
  }
}

export class SavedEpisodes1700000000004 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    // Two tables, since each row knows one revision: a save and a share of the same episode pass over each other.
    await runner.query(`
      CREATE TABLE users.saved_episodes (
        user_id uuid NOT NULL,
        episode_id uuid NOT NULL,
        feed_id uuid NOT NULL,
        feed text NOT NULL,
        item text NOT NULL,
        -- null: no longer saved; the row stays for its revision
        saved_at timestamptz,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, episode_id)
      );
      CREATE INDEX saved_episodes_recent ON users.saved_episodes (user_id, saved_at DESC, episode_id)
        WHERE saved_at IS NOT NULL;
      CREATE TABLE users.shared_episodes (
        user_id uuid NOT NULL,
        episode_id uuid NOT NULL,
        feed_id uuid NOT NULL,
        feed text NOT NULL,
        item text NOT NULL,
        -- the last time
        shared_at timestamptz NOT NULL,
        revision bigint NOT NULL,
        PRIMARY KEY (user_id, episode_id)
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.shared_episodes, users.saved_episodes');
  }
}
