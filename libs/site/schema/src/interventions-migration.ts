import { interventionsTable } from '@balados/platform-stores';
import { MigrationInterface, QueryRunner } from 'typeorm';

export class Interventions1700000000370 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(interventionsTable('site_private'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE site_private.projector_interventions');
  }
}
