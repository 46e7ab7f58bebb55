import { DynamicModule, Module } from '@nestjs/common';
import { Sql } from '@balados/platform-stores';
import { GpodderDirectoryController } from './gpodder.controller';
import { PublicController } from './public.controller';
import { SITE_SQL } from './site-sql';
import { MAX_LAG_MS } from './withholding';

@Module({})
export class PublicApiModule {
  static with(sql: Sql, { maxLagMs }: { maxLagMs: number }): DynamicModule {
    return {
      module: PublicApiModule,
      controllers: [PublicController, GpodderDirectoryController],
      providers: [
        { provide: SITE_SQL, useValue: sql },
        { provide: MAX_LAG_MS, useValue: maxLagMs },
      ],
    };
  }
}
