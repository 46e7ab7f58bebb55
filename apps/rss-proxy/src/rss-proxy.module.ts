import { Module } from '@nestjs/common';

/** Without routes as yet: every path but health and metrics is 404. */
@Module({})
export class RssProxyModule {}
