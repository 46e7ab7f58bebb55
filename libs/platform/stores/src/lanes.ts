import { Lane, LaneParts } from './lane';
import { SegmentWorker } from './segment-worker';

/**
 * Which segments of a process go together. Those that were taken together begin together; who is far behind, or slow, or cannot be applied
 * gets a lane of its own, so that the others need not wait, and comes back when it is up to date.
 */
export class Lanes {
  private readonly lanes = new Set<Lane>();
  private readonly loops = new Set<Promise<void>>();
  private readonly laneOf = new Map<SegmentWorker, Lane>();
  private isClosed = false;

  constructor(
    private readonly parts: Omit<LaneParts, 'moveAway' | 'part' | 'onSociable'>,
    /** Feeds a lane until it is closed. */
    private readonly keepFeeding: (lane: Lane) => Promise<void>,
  ) {}

  /** Gives these segments a lane together. */
  open(workers: readonly SegmentWorker[]): void {
    if (this.isClosed) return;
    const lane = new Lane({
      ...this.parts,
      moveAway: (some) => this.open(some),
      part: (some) => this.part(some),
      onSociable: () => this.join(),
    });
    this.lanes.add(lane);
    for (const worker of workers) this.move(worker, lane);
    const loop = this.keepFeeding(lane).finally(() => this.loops.delete(loop));
    this.loops.add(loop);
    lane.batches.wake();
  }

  /** The segment is no longer held. */
  remove(worker: SegmentWorker): void {
    const lane = this.laneOf.get(worker);
    this.laneOf.delete(worker);
    if (lane) this.leave(worker, lane);
  }

  wake(worker: SegmentWorker): void {
    this.laneOf.get(worker)?.batches.wake();
  }

  /** Has those go together that may and miss nothing by it. */
  join(): void {
    if (this.lanes.size < 2) return;
    for (const one of this.lanes)
      for (const other of this.lanes)
        if (one !== other && one.isSociable && other.isSociable && one.canTake(other))
          for (const worker of [...other.workers.values()]) this.move(worker, one);
  }

  /** Has every subscription begin anew. */
  restart(): void {
    for (const lane of this.lanes) lane.restart();
  }

  async close(): Promise<void> {
    this.isClosed = true;
    for (const lane of this.lanes) lane.close();
    await Promise.all(this.loops);
  }

  private part(workers: readonly SegmentWorker[]): void {
    for (const worker of workers) {
      if (!worker.active) continue;
      worker.keepApart();
      if (this.laneOf.get(worker)!.workers.size > 1) this.open([worker]);
    }
  }

  private move(worker: SegmentWorker, to: Lane): void {
    const from = this.laneOf.get(worker);
    if (from) this.leave(worker, from);
    to.workers.set(worker.lease.segment, worker);
    this.laneOf.set(worker, to);
  }

  private leave(worker: SegmentWorker, lane: Lane): void {
    worker.freeIntake();
    lane.workers.delete(worker.lease.segment);
    if (lane.workers.size > 0) return;
    this.lanes.delete(lane);
    lane.close();
  }
}
