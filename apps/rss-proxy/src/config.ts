import { serviceConfig } from '@balados/platform-service';

export const config = serviceConfig;
