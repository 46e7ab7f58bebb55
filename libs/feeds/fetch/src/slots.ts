import { busy } from './fetch-failed';

/** For what, and for whom. */
interface Wish {
  host: string;
  client: string;
}

interface Waiting extends Wish {
  grant: () => void;
}

export interface SlotLimits {
  perHost: number;
  perClient: number;
  total: number;
  waiting: number;
  waitingPerClient: number;
}

/**
 * So many at a time for one host, for one client, and for all; who comes later waits for a turn. Of those that wait the client comes first
 * that has the least, so that nobody waits for all that somebody else has asked for.
 */
export class Slots {
  private readonly ofHosts = new Tally();
  private readonly ofClients = new Tally();
  private readonly waiting: Waiting[] = [];
  private readonly waitingOfClients = new Tally();
  private total = 0;

  constructor(private readonly limits: SlotLimits) {}

  /** Resolves with what gives the slot back. @throws FetchFailed `busy` when the signal comes first, or too many wait */
  async take(wish: Wish, signal: AbortSignal): Promise<() => void> {
    if (this.isFree(wish)) this.occupy(wish);
    else await this.turn(wish, signal);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      this.release(wish);
    };
  }

  private turn({ host, client }: Wish, signal: AbortSignal): Promise<void> {
    const { waiting, waitingPerClient } = this.limits;
    if (this.waiting.length >= waiting || this.waitingOfClients.of(client) >= waitingPerClient)
      return Promise.reject(busy());
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.leave(entry);
        reject(busy());
      };
      const entry: Waiting = {
        host,
        client,
        grant: () => {
          signal.removeEventListener('abort', onAbort);
          resolve();
        },
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.waiting.push(entry);
      this.waitingOfClients.add(client, 1);
    });
  }

  private leave(entry: Waiting): void {
    this.waiting.splice(this.waiting.indexOf(entry), 1);
    this.waitingOfClients.add(entry.client, -1);
  }

  private isFree = ({ host, client }: Wish): boolean =>
    this.total < this.limits.total &&
    this.ofHosts.of(host) < this.limits.perHost &&
    this.ofClients.of(client) < this.limits.perClient;

  private occupy({ host, client }: Wish): void {
    this.total += 1;
    this.ofHosts.add(host, 1);
    this.ofClients.add(client, 1);
  }

  private release({ host, client }: Wish): void {
    this.total -= 1;
    this.ofHosts.add(host, -1);
    this.ofClients.add(client, -1);
    // One may wait for this host, and another for this client.
    for (let next = this.next(); next; next = this.next()) {
      this.leave(next);
      this.occupy(next);
      next.grant();
    }
  }

  private next(): Waiting | undefined {
    let next: Waiting | undefined;
    for (const each of this.waiting)
      if (this.isFree(each) && (!next || this.ofClients.of(each.client) < this.ofClients.of(next.client))) next = each;
    return next;
  }
}

/** Counts by name; what is none takes no room. */
class Tally {
  private readonly counts = new Map<string, number>();

  of(name: string): number {
    return this.counts.get(name) ?? 0;
  }

  add(name: string, more: number): void {
    const count = this.of(name) + more;
    if (count === 0) this.counts.delete(name);
    else this.counts.set(name, count);
  }
}
