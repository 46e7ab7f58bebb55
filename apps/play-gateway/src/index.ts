import { createRegistry, createService, Logger, Service, ServiceConfig } from '@balados/platform-service';
import { PlayGatewayModule } from './play-gateway.module';

export { config } from './config';

export const start = (config: ServiceConfig, log: Logger): Promise<Service> =>
  createService({
    name: 'play-gateway',
    module: PlayGatewayModule,
    config,
    log,
    registry: createRegistry('play-gateway'),
    checks: {},
    onClose: async () => undefined,
  });
