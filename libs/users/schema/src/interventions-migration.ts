import { interventionsTable } from '@balados/platform-stores';
import { MigrationInterface, QueryRunner } from 'typeorm';

export class InterventionsInUsers1700000000370 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(interventionsTable('users'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE users.projector_interventions');
  }
}
