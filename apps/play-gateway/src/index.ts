import { createRegistry, createService, Logger, Service } from '@balados/platform-service';
import { PlayGatewayModule } from './play-gateway.module';

export { config } from './config';

export const start = (_config: unknown, log: Logger): Promise<Service> =>
  createService({
    name: 'play-gateway',
    module: PlayGatewayModule,
    log,
    registry: createRegistry('play-gateway'),
    checks: {},
    onClose: async () => undefined,
  });
