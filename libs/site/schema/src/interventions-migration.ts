import { interventionsTable } from '@balados/platform-stores';
import { MigrationInterface, QueryRunner } from 'typeorm';

export class InterventionsInSite1700000000371 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(interventionsTable('site_private'));
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE site_private.projector_interventions');
  }
}
