import { FileHandle, mkdir, open, readdir, readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@balados/platform-service';
import { Play, readLine, toLine } from './journal-lines';

/** A file of the journal takes no more plays once it has this many bytes. */
export const SEGMENT_BYTES = 1_048_576;
/** What is written is on the disk itself after this long, in milliseconds: a power cut loses no more. */
export const SYNC_AFTER_MS = 500;

/** Why a play is lost: the journal has no more room, or could not be written. */
export type LossReason = 'full' | 'not_written';

/** A file of plays. */
export interface Segment {
  readonly number: number;
  bytes: number;
  /** No play in it was written before, by `performance.now`, which no clock that is set moves; -Infinity for a file from an earlier life. */
  readonly since: number;
  /** The same, by when the plays of an earlier life were heard. */
  readonly oldest: number;
  /** Plays that still wait. */
  waiting: number;
}

/** One that this process has written. */
interface Written extends Segment {
  handle: FileHandle;
  isSynced: boolean;
  /** Whatever is under way with its handle. */
  busy: Promise<unknown>;
}

/** Of the files, by number, those that are not to be looked at now. */
type IsLeft = (number: number) => boolean;
const none: IsLeft = () => false;

/** Plays that are written together. */
interface Group {
  lines: string[];
  bytes: number;
  written: Promise<boolean>;
  settle: (written: boolean) => void;
}

export interface JournalOptions {
  /** Of all files together, in bytes; a play for which there is no room is lost. */
  maxBytes: number;
  log: Logger;
  /** There is something to deliver. */
  onWritten: () => void;
  onLost: (reason: LossReason, plays: number) => void;
  /** Told of every play that waits from an earlier life, when the journal is opened. */
  onFound: (play: Play) => void;
}

/**
 * Plays on their way to the event store, in files of one folder: `<number>.plays`, each beside a `<number>.done` with the places of those
 * that have been delivered. Files are only appended to, and go when all of their plays have been delivered. What was written survives
 * `kill -9` at once, and a power cut after SYNC_AFTER_MS. One process at a time uses a folder.
 */
export class Journal {
  /** In their order, the oldest first; they take no more plays. */
  private readonly sealed: Segment[] = [];
  private active: Written | undefined;
  private readonly open = new Set<Written>();
  private next = 1;
  /** What is to be written next, and the bytes of that and of what is being written. */
  private group: Group | undefined;
  private bytesQueued = 0;
  private writing = false;
  private syncTimer: NodeJS.Timeout | undefined;
  /** Files are written and sealed one after the other. */
  private turn: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly folder: string,
    private readonly options: JournalOptions,
  ) {}

  /** @throws when the folder cannot be made or read */
  static async open(folder: string, options: JournalOptions): Promise<Journal> {
    const journal = new Journal(folder, options);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const names = (await readdir(folder)).filter((name) => /^\d+\.(?:plays|done)$/.test(name));
    const numbers = names.filter((name) => name.endsWith('.plays')).map((name) => Number.parseInt(name, 10));
    for (const number of numbers.sort((one, other) => one - other)) {
      const { size: bytes } = await stat(journal.file(number));
      const segment = { number, bytes, since: -Infinity, oldest: Infinity, waiting: 0 };
      const plays = await journal.read(segment);
      for (const play of plays.values()) {
        options.onFound(play);
        segment.oldest = Math.min(segment.oldest, performance.now() - Math.max(0, Date.now() - play.heardAt));
      }
      if (plays.size > 0) journal.sealed.push(segment);
      journal.next = number + 1;
    }
    for (const name of names)
      if (!numbers.includes(Number.parseInt(name, 10))) await rm(join(folder, name), { force: true });
    return journal;
  }

  /** Of the files, with what is about to be written. */
  get bytes(): number {
    return this.sealed.reduce((sum, { bytes }) => sum + bytes, (this.active?.bytes ?? 0) + this.bytesQueued);
  }

  get maxBytes(): number {
    return this.options.maxBytes;
  }

  /** How long the oldest play has waited at most; 0 without any. */
  get oldestSeconds(): number {
    const [oldest = this.active] = this.sealed;
    return oldest && this.waiting > 0 ? (performance.now() - oldest.oldest) / 1_000 : 0;
  }

  /** The share of its limit that it has, from 0 to 1. */
  get filled(): number {
    return this.bytes / this.options.maxBytes;
  }

  /** Since when the oldest play of the files after number `after`, but for those left alone, may have waited; undefined when there is none. */
  waitsSince(after: number, isLeft: IsLeft = none): number | undefined {
    return (this.sealed.find(({ number }) => number > after && !isLeft(number)) ?? this.active)?.since;
  }

  /** Plays that wait for their delivery. */
  get waiting(): number {
    return this.sealed.reduce(
      (sum, { waiting }) => sum + waiting,
      (this.active?.waiting ?? 0) + (this.group?.lines.length ?? 0),
    );
  }

  /** Resolves with true once the play is written, with false when it is lost. Those of one moment are written together, and have one promise. */
  append(play: Play): Promise<boolean> {
    const line = toLine(play);
    const bytes = Buffer.byteLength(line);
    if (this.bytes + bytes > this.options.maxBytes) {
      this.options.onLost('full', 1);
      return Promise.resolve(false);
    }
    this.bytesQueued += bytes;
    const group = (this.group ??= newGroup());
    group.lines.push(line);
    group.bytes += bytes;
    if (!this.writing) {
      this.writing = true;
      // Once this turn of the event loop has brought all that it brings: a write costs more than what is written.
      setImmediate(() => void this.inTurn(() => this.writeQueued()));
    }
    return group.written;
  }

  /** The oldest file after number `after`, but for those left alone, that has plays to deliver; undefined when there is none. */
  async segmentAfter(after: number, isLeft: IsLeft = none): Promise<Segment | undefined> {
    const found = (): Segment | undefined => this.sealed.find(({ number }) => number > after && !isLeft(number));
    if (!found() && this.active) await this.inTurn(async () => this.seal());
    return found();
  }

  /** By its place, each play of a sealed file that has not been delivered. Torn lines are left out; when nothing else is left, the file goes. */
  async read(segment: Segment): Promise<Map<number, Play>> {
    const { number } = segment;
    const text = await readFile(this.file(number), 'utf8').catch((error: NodeJS.ErrnoException) => {
      const nothing = noneYet(error);
      this.options.log.error({ segment: number }, 'a file of the journal was removed, and its plays with it');
      return nothing;
    });
    const lines = text.split('\n');
    const done = await readFile(this.doneFile(number), 'utf8').catch(noneYet);
    const delivered = new Set([...done.matchAll(/<(\d+)>/g)].map(([, place]) => Number(place)));
    const plays = new Map<number, Play>();
    let torn = 0;
    for (const [place, line] of lines.entries()) {
      if (line === '' || delivered.has(place)) continue;
      const play = readLine(line);
      if (play) plays.set(place, play);
      else torn += 1;
    }
    if (torn > 0) this.options.log.warn({ segment: number, torn }, 'lines of the journal are torn and were left out');
    // What the files say counts: a disk that is full takes part of a line, or of a list.
    segment.waiting = plays.size;
    if (plays.size === 0) await this.remove(segment);
    return plays;
  }

  /** These have been delivered. When they were the last of their file, it goes. */
  async done(segment: Segment, places: readonly number[]): Promise<void> {
    if (segment.waiting <= places.length) {
      segment.waiting = 0;
      return this.remove(segment);
    }
    const handle = await open(this.doneFile(segment.number), 'a', 0o600);
    try {
      // Whatever is torn off here, no other place can be read from it.
      await handle.appendFile(places.map((place) => `<${place}>`).join(''));
      segment.waiting -= places.length;
    } finally {
      await handle.close();
    }
  }

  /** What waits is on the disk, and stays there until the next life. */
  async close(): Promise<void> {
    await this.inTurn(async () => {
      await this.writeQueued();
      this.seal();
    });
    clearTimeout(this.syncTimer);
    this.sync();
    for (const { busy } of this.open) await busy;
  }

  private async writeQueued(): Promise<void> {
    for (let group = this.group; group; group = this.group) {
      this.group = undefined;
      const written = await this.write(group.lines.join(''), group.lines.length);
      this.bytesQueued -= group.bytes;
      if (!written) this.options.onLost('not_written', group.lines.length);
      group.settle(written);
      if (this.group) await new Promise(setImmediate);
    }
    this.writing = false;
    this.options.onWritten();
  }

  /** All of it or nothing, as far as that can be had. */
  private async write(text: string, plays: number): Promise<boolean> {
    try {
      this.active ??= await this.begin();
      await this.active.handle.appendFile(text);
      this.active.bytes += Buffer.byteLength(text);
      this.active.waiting += plays;
      this.active.isSynced = false;
      this.syncTimer ??= setTimeout(() => this.sync(), SYNC_AFTER_MS).unref();
      if (this.active.bytes >= SEGMENT_BYTES) this.seal();
      return true;
    } catch (error) {
      this.options.log.error({ err: error, plays }, 'plays could not be written to the journal');
      // Part of it may have been. The next ones begin a new file, where no half line stands before them.
      await this.active?.handle.truncate(this.active.bytes).catch(() => undefined);
      this.seal();
      return false;
    }
  }

  private async begin(): Promise<Written> {
    const number = this.next;
    this.next += 1;
    const handle = await open(this.file(number), 'ax', 0o600);
    const since = performance.now();
    const begun = {
      number,
      handle,
      bytes: 0,
      since,
      oldest: since,
      waiting: 0,
      isSynced: true,
      busy: Promise.resolve(),
    };
    this.open.add(begun);
    return begun;
  }

  private seal(): void {
    const { active } = this;
    if (!active) return;
    this.active = undefined;
    this.sealed.push(active);
    if (active.waiting === 0) void this.remove(active);
  }

  /** What is written meanwhile is synced the next time. Files that are sealed are let go then. */
  private sync(): void {
    this.syncTimer = undefined;
    for (const file of this.open) {
      const isLast = file !== this.active;
      file.busy = file.busy.then(async () => {
        if (!this.open.has(file)) return;
        try {
          if (!file.isSynced) await file.handle.datasync();
          file.isSynced = true;
        } catch (error) {
          this.options.log.error({ err: error }, 'the journal could not be synced to the disk');
        }
        if (isLast) await this.letGo(file);
      });
    }
  }

  private async letGo(file: Written): Promise<void> {
    if (this.open.delete(file)) await file.handle.close().catch(() => undefined);
  }

  private async remove(segment: Segment): Promise<void> {
    const place = this.sealed.indexOf(segment);
    if (place >= 0) this.sealed.splice(place, 1);
    const file = [...this.open].find((each) => each === segment);
    if (file) await (file.busy = file.busy.then(() => this.letGo(file)));
    try {
      // In this order: a list of places says nothing without its file.
      await rm(this.file(segment.number), { force: true });
      await rm(this.doneFile(segment.number), { force: true });
    } catch (error) {
      // It is delivered again in the next life; the decider drops repeats.
      this.options.log.error({ err: error }, 'a file of the journal could not be removed');
    }
  }

  private inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const turn = this.turn.then(work);
    this.turn = turn.catch(() => undefined);
    return turn;
  }

  private file(number: number): string {
    return join(this.folder, `${number}.plays`);
  }

  private doneFile(number: number): string {
    return join(this.folder, `${number}.done`);
  }
}

function newGroup(): Group {
  let settle!: Group['settle'];
  const written = new Promise<boolean>((resolve) => (settle = resolve));
  return { lines: [], bytes: 0, written, settle };
}

function noneYet(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}
