import { MigrationInterface, QueryRunner } from 'typeorm';

export class Devices1700000000440 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE users.devices (
        user_id uuid NOT NULL,
        -- as the app calls it
        device_id text NOT NULL,
        caption text NOT NULL,
        type text NOT NULL,
        seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (user_id, device_id)
      );`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.devices');
  }
}
