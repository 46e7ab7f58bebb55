import { MigrationInterface, QueryRunner } from 'typeorm';

export class JobRuns1700000000411 implements MigrationInterface {
  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- the last runs of each job, whatever they work on, for whoever operates the system
      CREATE TABLE site_private.job_runs (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        job text NOT NULL,
        began_at timestamptz NOT NULL,
        seconds double precision NOT NULL,
        outcome text NOT NULL CHECK (outcome IN ('done', 'failed')),
        -- what it has done, by name: counts alone
        figures jsonb NOT NULL,
        -- the kind of error; what it says may name listeners, and stands in the log
        error text,
        -- host and process
        replica text NOT NULL
      );
      CREATE INDEX job_runs_of_job ON site_private.job_runs (job, id DESC);`);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE site_private.job_runs');
  }
}
