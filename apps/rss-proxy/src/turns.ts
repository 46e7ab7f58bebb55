/** So many at a time; who comes later waits for a turn. */
export class Turns {
  private readonly waiting: (() => void)[] = [];
  private taken = 0;

  constructor(private readonly atATime: number) {}

  async take<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.taken < this.atATime) this.taken += 1;
    else await new Promise<void>((turn) => this.waiting.push(turn));
    try {
      return await work();
    } finally {
      // A turn that somebody waits for is passed on.
      const next = this.waiting.shift();
      if (next) next();
      else this.taken -= 1;
    }
  }
}
