import { MigrationInterface, QueryRunner } from 'typeorm';

export class KeysAndTokens1700000000210 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- counts the changes of the password: a login that checked the one before makes no session any more
      ALTER TABLE users.accounts ADD COLUMN password_version integer NOT NULL DEFAULT 1;
      -- public keys with which listeners sign tokens of their own; they go with the account
      CREATE TABLE users.listener_keys (
        kid uuid PRIMARY KEY,
        user_id uuid NOT NULL REFERENCES users.accounts ON DELETE CASCADE,
        name text NOT NULL,
        -- PEM, SPKI
        public_key text NOT NULL,
        -- SHA-256 of the SPKI
        thumbprint bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        last_used_at timestamptz,
        UNIQUE (user_id, thumbprint)
      );
      -- who the listeners of an outside issuer are here
      CREATE TABLE users.outside_listeners (
        issuer text NOT NULL,
        subject text NOT NULL,
        user_id uuid NOT NULL UNIQUE,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (issuer, subject)
      );
      CREATE TABLE users.idempotency_keys (
        -- keyed hash of caller, route and the key that the client chose
        key_hash bytea PRIMARY KEY,
        -- whose row it made
        user_id uuid NOT NULL,
        request_hash bytea NOT NULL,
        -- this, the client's key and a key of the server make the secret of a token
        salt bytea NOT NULL,
        -- without secrets; json keeps the order of its members
        answer json,
        created_at timestamptz NOT NULL DEFAULT now()
      );
      CREATE INDEX idempotency_keys_age ON users.idempotency_keys (created_at);
      CREATE INDEX idempotency_keys_user ON users.idempotency_keys (user_id);`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE users.idempotency_keys, users.outside_listeners, users.listener_keys;
      ALTER TABLE users.accounts DROP COLUMN password_version;`);
  }
}
