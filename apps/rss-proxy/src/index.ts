import { createRegistry, createService, Logger, Service } from '@balados/platform-service';
import { RssProxyModule } from './rss-proxy.module';

export { config } from './config';

export const start = (_config: unknown, log: Logger): Promise<Service> =>
  createService({
    name: 'rss-proxy',
    module: RssProxyModule,
    log,
    registry: createRegistry('rss-proxy'),
    checks: {},
    onClose: async () => undefined,
  });
