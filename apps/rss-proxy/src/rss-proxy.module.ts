import { DynamicModule, Module } from '@nestjs/common';
import { Feeds } from './feeds';
import { FEEDS, RssController } from './rss.controller';

@Module({})
export class RssProxyModule {
  static with(feeds: Feeds): DynamicModule {
    return {
      module: RssProxyModule,
      controllers: [RssController],
      providers: [{ provide: FEEDS, useValue: feeds }],
    };
  }
}
