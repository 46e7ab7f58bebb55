import { Module } from '@nestjs/common';

/** Play links are answered beforehand (`gateway.ts`): every other path is 404. */
@Module({})
export class PlayGatewayModule {}
