import { DynamicModule, Module } from '@nestjs/common';
import { Feeds } from './feeds';
import { PersonalController } from './personal.controller';
import { PersonalFeeds } from './personal-feeds';
import { FEEDS, RssController } from './rss.controller';

@Module({})
export class RssProxyModule {
  static with(feeds: Feeds, personal: PersonalFeeds): DynamicModule {
    return {
      module: RssProxyModule,
      controllers: [RssController, PersonalController],
      providers: [
        { provide: FEEDS, useValue: feeds },
        { provide: PersonalFeeds, useValue: personal },
      ],
    };
  }
}
