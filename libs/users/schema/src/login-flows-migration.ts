import { MigrationInterface, QueryRunner } from 'typeorm';

export class LoginFlows1700000000450 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users.login_flows (
        -- SHA-256 of what the app asks by, and of what stands in the address of the page; the secrets themselves are not kept
        poll_hash bytea PRIMARY KEY,
        page_hash bytea NOT NULL UNIQUE,
        -- as the app calls itself
        client text NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        -- who granted it, and by which password of theirs
        user_id uuid,
        password_version integer,
        CHECK ((user_id IS NULL) = (password_version IS NULL))
      );
      CREATE INDEX login_flows_created ON users.login_flows (created_at);
      CREATE INDEX login_flows_user ON users.login_flows (user_id) WHERE user_id IS NOT NULL;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.login_flows');
  }
}
