import { createLogger } from '@balados/platform-service';
import type { JobsDependencies, Turn } from './jobs';
import { SILENT } from './progress';

const DAY_MS = 86_400_000;

/** As nobody has configured anything, and nobody looks. */
export const SETTINGS: Omit<JobsDependencies, 'users' | 'site' | 'streams' | 'feeds'> & Turn = {
  log: createLogger('test', 'silent'),
  defaultPrivacy: 'anonymous',
  publicMinListeners: 2,
  trendingWindowMs: 7 * DAY_MS,
  checkpointAfterMs: 45 * DAY_MS,
  dropAfterMs: 45 * DAY_MS,
  everyMs: 300_000,
  checkpointBatch: 2_000,
  trimBatch: 5_000,
  metadataBatch: 500,
  scavengeEveryMs: DAY_MS,
  now: Date.now,
  signal: new AbortController().signal,
  progress: SILENT,
};
