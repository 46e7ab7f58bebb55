/** So many at a time; who comes later waits for a turn, and who comes when too many wait is refused. */
export class Turns {
  private readonly waiting: (() => void)[] = [];
  private taken = 0;

  /** `busy` makes what is thrown when `waitingMax` wait already. */
  constructor(private readonly limits: { atATime: number; waitingMax: number; busy: () => Error }) {}

  get isIdle(): boolean {
    return this.taken === 0;
  }

  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.taken < this.limits.atATime) this.taken += 1;
    else if (this.waiting.length >= this.limits.waitingMax) throw this.limits.busy();
    else await new Promise<void>((turn) => this.waiting.push(turn));
    try {
      return await work();
    } finally {
      // The place is handed over, or given back.
      const next = this.waiting.shift();
      if (next) next();
      else this.taken -= 1;
    }
  }
}
