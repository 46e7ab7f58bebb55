import { Module } from '@nestjs/common';

/** Serves health and metrics alone; the work is in the projectors that `index.ts` runs. */
@Module({})
export class ProjectionsModule {}
