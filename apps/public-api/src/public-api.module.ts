import { DynamicModule, Module } from '@nestjs/common';
import { Sql } from '@balados/platform-stores';
import { PublicController, SITE_SQL } from './public.controller';

@Module({})
export class PublicApiModule {
  static with(sql: Sql): DynamicModule {
    return {
      module: PublicApiModule,
      controllers: [PublicController],
      providers: [{ provide: SITE_SQL, useValue: sql }],
    };
  }
}
