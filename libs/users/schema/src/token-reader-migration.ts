import { createRole } from '@balados/platform-stores';
import { MigrationInterface, QueryRunner } from 'typeorm';

export class TokenReader1700000000250 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(createRole('balados_token_reader'));
    await runner.query(`
      REVOKE ALL ON SCHEMA users FROM PUBLIC;
      GRANT USAGE ON SCHEMA users TO balados_token_reader;
      GRANT SELECT (id, user_id, kind, secret_hash, revoked_at, last_used_at) ON users.api_tokens TO balados_token_reader;`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      REVOKE ALL ON users.api_tokens FROM balados_token_reader;
      REVOKE ALL ON SCHEMA users FROM balados_token_reader;`);
  }
}
