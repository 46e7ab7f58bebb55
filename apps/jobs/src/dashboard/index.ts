import type { Edge, Logger } from '@balados/platform-service';
import type { FastifyInstance } from 'fastify';
import type { Config } from '../config';
import { Admission } from './admission';
import { Collector, Snapshot } from './collector';
import type { Figures } from './figures';
import { dashboardRoutes } from './routes';
import { SectionParts, sectionsOf } from './sections';
import { Viewers } from './viewers';

export interface Dashboard {
  addRoutes(server: FastifyInstance, edge: Edge): void;
}

/** The operators' dashboard; undefined without an admin token, and then there is none. */
export function openDashboard(
  { ADMIN_TOKEN, RATE_LOGIN_FAILED }: Pick<Config, 'ADMIN_TOKEN' | 'RATE_LOGIN_FAILED'>,
  parts: SectionParts & { log: Logger },
): Dashboard | undefined {
  if (ADMIN_TOKEN === undefined) return undefined;
  const { log } = parts;
  const collector = new Collector({ sections: sectionsOf(parts), sampleOf, log });
  const viewers = new Viewers(collector);
  const admission = new Admission(ADMIN_TOKEN, RATE_LOGIN_FAILED);
  return { addRoutes: dashboardRoutes({ admission, collector, viewers, log }) };
}

/** What the page draws. */
function sampleOf({ sections }: Snapshot): Record<string, number | null> {
  const { kept = null, active } = sections['figures'] as Partial<Figures>;
  const { projectors } = sections['projections'] as { projectors?: { lagSeconds: number | null }[] };
  const lags = projectors?.map(({ lagSeconds }) => lagSeconds);
  const lag = lags?.every((one) => one !== null) ? Math.max(0, ...lags) : null;
  return { events: kept, hour: active?.['1h'] ?? null, day: active?.['24h'] ?? null, lag };
}
