import { MigrationInterface, QueryRunner } from 'typeorm';

export class AppPasswords1700000000430 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE users.api_tokens DROP CONSTRAINT api_tokens_kind_check;
      ALTER TABLE users.api_tokens ADD CONSTRAINT api_tokens_kind_check CHECK (kind IN ('session', 'personal', 'app'));`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DELETE FROM users.api_tokens WHERE kind = 'app';
      ALTER TABLE users.api_tokens DROP CONSTRAINT api_tokens_kind_check;
      ALTER TABLE users.api_tokens ADD CONSTRAINT api_tokens_kind_check CHECK (kind IN ('session', 'personal'));`);
  }
}
