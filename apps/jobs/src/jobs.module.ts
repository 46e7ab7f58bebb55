import { DynamicModule, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { Logger } from '@balados/platform-service';
import { DataSource } from 'typeorm';
import { JOBS_DEPENDENCIES, ScheduledJobs } from './scheduled-jobs';

export interface JobsDependencies {
  users: DataSource;
  site: DataSource;
  log: Logger;
  /** Milliseconds over which growth is measured. */
  trendingWindowMs: number;
  publicMinListeners: number;
}

@Module({})
export class JobsModule {
  static with(dependencies: JobsDependencies): DynamicModule {
    return {
      module: JobsModule,
      imports: [ScheduleModule.forRoot()],
      providers: [ScheduledJobs, { provide: JOBS_DEPENDENCIES, useValue: dependencies }],
    };
  }
}
