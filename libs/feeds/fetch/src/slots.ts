import { busy } from './fetch-failed';

interface Waiting {
  host: string;
  grant: () => void;
}

/** So many at a time for one host, and for all; who comes later waits for a turn. */
export class Slots {
  private readonly taken = new Map<string, number>();
  private readonly waiting: Waiting[] = [];
  private total = 0;

  constructor(private readonly limits: { perHost: number; total: number; waiting: number }) {}

  /** Resolves with what gives the slot back. @throws FetchFailed `busy` when the signal comes first, or too many wait */
  async take(host: string, signal: AbortSignal): Promise<() => void> {
    if (!this.isFree(host)) await this.turn(host, signal);
    else this.occupy(host);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.release(host);
    };
  }

  private turn(host: string, signal: AbortSignal): Promise<void> {
    if (this.waiting.length >= this.limits.waiting) return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.waiting.splice(this.waiting.indexOf(entry), 1);
        reject(busy());
      };
      const entry: Waiting = {
        host,
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(entry);
    });
  }

  private isFree = (host: string): boolean =>
    this.total < this.limits.total && (this.taken.get(host) ?? 0) < this.limits.perHost;

  private occupy(host: string): void {
    this.total += 1;
    this.taken.set(host, (this.taken.get(host) ?? 0) + 1);
  }

  private release(host: string): void {
    this.total -= 1;
    const left = this.taken.get(host)! - 1;
    if (left === 0) this.taken.delete(host);
    else this.taken.set(host, left);
    const next = this.waiting.findIndex((each) => this.isFree(each.host));
    if (next < 0) return;
    const [{ host: ofNext, grant }] = this.waiting.splice(next, 1) as [Waiting];
    this.occupy(ofNext);
    grant();
  }
}
