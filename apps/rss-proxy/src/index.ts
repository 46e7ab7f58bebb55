import { createRegistry, createService, Logger, Service, ServiceConfig } from '@balados/platform-service';
import { RssProxyModule } from './rss-proxy.module';

export { config } from './config';

export const start = (config: ServiceConfig, log: Logger): Promise<Service> =>
  createService({
    name: 'rss-proxy',
    module: RssProxyModule,
    config,
    log,
    registry: createRegistry('rss-proxy'),
    checks: {},
    onClose: async () => undefined,
  });
