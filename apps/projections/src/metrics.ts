import { RunningProjector, SegmentStatus } from '@balados/platform-stores';
import { Gauge, Registry } from 'prom-client';

/** What each projector and each of its held segments says of itself, read whenever Prometheus asks. */
export function exposeProjectors(registry: Registry, projectors: readonly RunningProjector[]): void {
  const figures: Record<string, { help: string; of: (status: SegmentStatus) => number }> = {
    projector_events_applied: { help: 'Events applied since the segment was taken.', of: ({ events }) => events },
    projector_events_queued: {
      help: 'Events that wait to be applied: all that there are, where the segment has caught up.',
      of: ({ queued }) => queued,
    },
    projector_batches: { help: 'Transactions since the segment was taken.', of: ({ batches }) => batches },
    projector_retries: { help: 'Transactions that were tried again.', of: ({ retries }) => retries },
    projector_position: { help: 'Commit position stored with the rows.', of: ({ position }) => Number(position ?? 0n) },
    projector_failed: { help: '1 when an event has stopped the segment.', of: ({ failed }) => (failed ? 1 : 0) },
  };
  const ofAll: Record<string, { help: string; of: (projector: RunningProjector) => number | undefined }> = {
    projector_segments_held: {
      help: 'Segments that this process holds.',
      of: (projector) => projector.status().length,
    },
    projector_lag_seconds: {
      help: 'Whatever was recorded longer ago is applied in the held segments that do not stand still.',
      of: ({ lateness }) => lateness && Math.max(0, Date.now() - lateness.appliedUntil) / 1_000,
    },
    projector_log_position: {
      help: 'Commit position of the last event in the log.',
      of: ({ lateness }) => (lateness?.head === undefined ? undefined : Number(lateness.head)),
    },
  };
  for (const [name, { help, of }] of Object.entries(ofAll)) {
    new Gauge({
      name,
      help,
      labelNames: ['projector'],
      registers: [registry],
      collect() {
        this.reset();
        for (const projector of projectors) {
          const value = of(projector);
          if (value !== undefined) this.set({ projector: projector.name }, value);
        }
      },
    });
  }
  for (const [name, { help, of }] of Object.entries(figures)) {
    new Gauge({
      name,
      help,
      labelNames: ['projector', 'segment'],
      registers: [registry],
      collect() {
        this.reset();
        for (const projector of projectors) {
          for (const status of projector.status())
            this.set({ projector: projector.name, segment: status.segment }, of(status));
        }
      },
    });
  }
}

/** Resolves while nothing stands still; rejects with which segments do, and why. */
export async function checkProjector(projector: RunningProjector): Promise<void> {
  if (projector.trouble) throw new Error(projector.trouble);
  const stopped = projector.status().filter(({ failed }) => failed);
  if (stopped.length > 0) {
    throw new Error(stopped.map(({ segment, failed }) => `segment ${segment} stopped: ${failed!.reason}`).join('; '));
  }
}
