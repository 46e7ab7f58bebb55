import { hash } from 'node:crypto';
import { appendFile, mkdir, readdir, readFile, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { episodeKey } from '@balados/feeds-ids';
import type { Logger } from '@balados/platform-service';

/** A token's play of an episode counts once in this time, in milliseconds. */
export const REPEAT_MS = 86_400_000;
/** Plays that are remembered for that, some 120 bytes each; beyond, the older half is forgotten, and the decider still knows the day. */
export const RECENT_PLAYS_MAX = 200_000;
/** What was played is kept on the disk after this long, in milliseconds. */
const KEEP_AFTER_MS = 1_000;

/** SHA-256, cut, of token and episode: nobody can tell from it who heard what. */
const KEY_BYTES = 16;
const RECORD_BYTES = KEY_BYTES + 8;

/** By what a play is remembered. */
export const recentKey = (tokenHash: string, feed: string, item: string): string =>
  hash('sha256', `${tokenHash}\n${feed}\n${episodeKey(item)}`, 'buffer').toString('latin1', 0, KEY_BYTES);

/**
 * What was played in the last REPEAT_MS, and when. Entered in the younger of two maps; when that is a day old or half of all, the older one is
 * dropped. Each is kept in a file beside the journal, `<number>.recent`, records of a key and a time; a lost or torn end does no harm.
 */
export class RecentPlays {
  private younger = new Map<string, number>();
  private older = new Map<string, number>();
  private beganAt: number;
  private number = 1;
  private unkept: [string, number][] = [];
  private timer: NodeJS.Timeout | undefined;
  private keeping: Promise<void> = Promise.resolve();

  private constructor(
    private readonly folder: string,
    private readonly options: { log: Logger; max: number; clock: () => number },
  ) {
    this.beganAt = options.clock();
  }

  static async open(
    folder: string,
    { log, max = RECENT_PLAYS_MAX, clock = Date.now }: { log: Logger; max?: number; clock?: () => number },
  ): Promise<RecentPlays> {
    const recent = new RecentPlays(folder, { log, max, clock });
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = (await readdir(folder)).filter((name) => /^\d+\.recent$/.test(name));
    const numbers = names.map((name) => Number.parseInt(name, 10)).sort((one, other) => other - one);
    const [younger, older, ...gone] = numbers;
    if (older !== undefined) recent.older = await recent.read(older);
    if (younger !== undefined) {
      recent.number = younger;
      recent.younger = await recent.read(younger);
      recent.beganAt = Math.min(recent.beganAt, ...[...recent.younger.values()].slice(0, 1));
    }
    for (const number of gone) await rm(recent.file(number), { force: true });
    return recent;
  }

  get size(): number {
    return this.younger.size + this.older.size;
  }

  has(key: string): boolean {
    const at = this.younger.get(key) ?? this.older.get(key);
    return at !== undefined && this.isRecent(at);
  }

  add(key: string, at: number): void {
    const { max } = this.options;
    if (this.younger.size >= max / 2 || !this.isRecent(this.beganAt)) this.beginAnew();
    this.younger.set(key, at);
    this.unkept.push([key, at]);
    this.timer ??= setTimeout(() => void this.keep(), KEEP_AFTER_MS).unref();
  }

  /** It was not counted after all. */
  delete(key: string): void {
    this.younger.delete(key);
  }

  async close(): Promise<void> {
    await this.keep();
  }

  /** A clock that was set back has nothing to say of what it dates far ahead. */
  private isRecent(at: number): boolean {
    return Math.abs(this.options.clock() - at) < REPEAT_MS;
  }

  private beginAnew(): void {
    void this.keep();
    this.older = this.younger;
    this.younger = new Map();
    this.beganAt = this.options.clock();
    this.number += 1;
    const dropped = this.file(this.number - 2);
    this.keeping = this.keeping.then(() => rm(dropped, { force: true }).catch(() => undefined));
  }

  private keep(): Promise<void> {
    clearTimeout(this.timer);
    this.timer = undefined;
    const records = Buffer.alloc(this.unkept.length * RECORD_BYTES);
    for (const [index, [key, at]] of this.unkept.splice(0).entries()) {
      records.write(key, index * RECORD_BYTES, 'latin1');
      records.writeDoubleBE(at, index * RECORD_BYTES + KEY_BYTES);
    }
    const file = this.file(this.number);
    return (this.keeping = this.keeping.then(async () => {
      if (records.length === 0) return;
      await appendFile(file, records, { mode: 0o600 }).catch((error: unknown) => {
        this.options.log.warn(
          { err: error },
          'recent plays are not kept: after a restart repeats of other days may count',
        );
      });
    }));
  }

  private async read(number: number): Promise<Map<string, number>> {
    const records = await readFile(this.file(number));
    // A torn end would put out of place whatever came after it.
    const torn = records.length % RECORD_BYTES;
    if (torn > 0) await truncate(this.file(number), records.length - torn);
    const plays = new Map<string, number>();
    for (let start = 0; start + RECORD_BYTES <= records.length; start += RECORD_BYTES) {
      const key = records.toString('latin1', start, start + KEY_BYTES);
      plays.set(key, records.readDoubleBE(start + KEY_BYTES));
    }
    return plays;
  }

  private file(number: number): string {
    return join(this.folder, `${number}.recent`);
  }
}
