import { Type } from '@nestjs/common';
import { serviceConfig } from './config';
import { createLogger } from './logging';
import { createRegistry } from './metrics';
import { createService, listen, Listener, Service, ServiceParts } from './service';

const running: { service: Service; listener: Listener }[] = [];

/** A service of these routes on a port of its own; answers its URL. */
export async function startService(
  module: Type,
  environment: Record<string, string> = {},
  parts: Partial<ServiceParts> = {},
): Promise<string> {
  const service = await createService({
    name: 'test',
    module,
    config: serviceConfig.parse(environment),
    log: createLogger('test', 'fatal'),
    registry: createRegistry('test'),
    checks: {},
    onClose: async () => undefined,
    ...parts,
  });
  const listener = await listen(service.handle, { port: 0, host: '127.0.0.1' });
  running.push({ service, listener });
  return `http://127.0.0.1:${listener.port}`;
}

export async function stopServices(): Promise<void> {
  for (const { service, listener } of running.splice(0)) {
    await listener.close();
    await service.close();
  }
}
