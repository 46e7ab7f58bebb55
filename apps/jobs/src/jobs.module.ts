import { DynamicModule, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import type { JobsDependencies } from './jobs';
import type { Metrics } from './metrics';
import { JOBS_DEPENDENCIES, JOBS_METRICS, ScheduledJobs } from './scheduled-jobs';

@Module({})
export class JobsModule {
  static with(dependencies: JobsDependencies, metrics: Metrics): DynamicModule {
    return {
      module: JobsModule,
      imports: [ScheduleModule.forRoot()],
      providers: [
        ScheduledJobs,
        { provide: JOBS_DEPENDENCIES, useValue: dependencies },
        { provide: JOBS_METRICS, useValue: metrics },
      ],
    };
  }
}
