import { DynamicModule, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { JOBS_DEPENDENCIES, JobsDependencies, ScheduledJobs } from './scheduled-jobs';

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
