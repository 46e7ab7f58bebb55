import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@balados/platform-service';
import { waitFor } from '@balados/testing';
import fc from 'fast-check';
import { Journal, JournalOptions, SEGMENT_BYTES } from './journal';
import { Play, readLine, toLine } from './journal-lines';

const log = createLogger('test', 'silent');
let folder: string;
let lost: Record<string, number>;
let found: Play[];
const opened: Journal[] = [];

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'balados-journal-')), 'plays');
  [lost, found] = [{}, []];
});
afterEach(async () => {
  for (const journal of opened.splice(0)) await journal.close();
  rmSync(join(folder, '..'), { recursive: true, force: true });
});

async function openJournal(options: Partial<JournalOptions> = {}): Promise<Journal> {
  const journal = await Journal.open(folder, {
    maxBytes: 64 * SEGMENT_BYTES,
    log,
    onWritten: () => undefined,
    onLost: (reason, plays) => (lost[reason] = (lost[reason] ?? 0) + plays),
    onFound: (play) => found.push(play),
    ...options,
  });
  opened.push(journal);
  return journal;
}

const play = (number: number, item = `guid-${number},https://media.example/${number}.mp3`): Play => ({
  heardAt: 1_800_000_000_000 + number,
  tokenHash: 'ab'.repeat(32),
  userId: null,
  feed: 'https://feeds.example/show.xml',
  item,
  correlationId: `request-${number}`,
});
const plays = (from: number, to: number): Play[] => Array.from({ length: to - from }, (_, index) => play(from + index));

it('keeps where a trace goes on, of plays that are followed, and reads lines of before', () => {
  const traceparent = `00-${'1'.repeat(32)}-${'2'.repeat(16)}-01`;
  for (const each of [play(1), { ...play(1), traceparent }])
    expect(readLine(toLine(each).slice(0, -1))).toStrictEqual(each);
  expect(toLine({ ...play(1), traceparent: undefined })).toBe(toLine(play(1)));
});

it('tells how long its oldest play has waited, also in another life', async () => {
  let journal = await openJournal();
  expect(journal.oldestSeconds).toBe(0);
  await journal.append({ ...play(1), heardAt: Date.now() - 60_000 });
  expect([journal.oldestSeconds > 0, journal.oldestSeconds < 30]).toEqual([true, true]);
  await journal.close();
  journal = await openJournal();
  await journal.append(play(2));
  expect([journal.oldestSeconds >= 60, journal.oldestSeconds < 90]).toEqual([true, true]);
  const segment = (await journal.segmentAfter(0))!;
  await journal.done(segment, [0]);
  expect([journal.oldestSeconds > 0, journal.oldestSeconds < 30]).toEqual([true, true]);
});

/** All that waits, file by file. */
async function waiting(journal: Journal): Promise<Play[]> {
  const all: Play[] = [];
  for (let segment = await journal.segmentAfter(0); segment; segment = await journal.segmentAfter(segment.number))
    all.push(...(await journal.read(segment)).values());
  return all;
}

it('a line says what was written, and a torn one says nothing', () => {
  const text = fc.string({ unit: 'binary' });
  const plays = fc.record({
    heardAt: fc.nat(),
    tokenHash: text,
    userId: fc.option(text),
    feed: text,
    item: text,
    correlationId: text,
  });
  fc.assert(
    fc.property(plays, fc.nat(), (play, cut) => {
      const line = toLine(play);
      expect(line.indexOf('\n')).toBe(line.length - 1);
      // As a file would give it back.
      const read = Buffer.from(line).toString('utf8').slice(0, -1);
      expect(readLine(read)).toEqual(JSON.parse(JSON.stringify(readLine(line.slice(0, -1)))));
      expect(readLine(line.slice(0, cut % (line.length - 1)))).toBeUndefined();
    }),
  );
});

it('holds what was written until it is delivered, in this life and the next', async () => {
  const journal = await openJournal();
  expect(await Promise.all(plays(0, 100).map((each) => journal.append(each)))).not.toContain(false);
  expect(journal.waiting).toBe(100);
  expect(await waiting(journal)).toEqual(plays(0, 100));

  // Nothing is closed: as if the process had been killed.
  const next = await openJournal();
  expect(found).toEqual(plays(0, 100));
  const segment = (await next.segmentAfter(0))!;
  await next.done(segment, [0, 2, 98]);
  await next.append(play(100));
  expect(next.waiting).toBe(98);

  const last = await openJournal();
  expect(last.waiting).toBe(98);
  const left = [...plays(0, 101)].filter(({ heardAt }) => ![0, 2, 98].includes(heardAt - 1_800_000_000_000));
  expect(await waiting(last)).toEqual(left);
  for (let each = await last.segmentAfter(0); each; each = await last.segmentAfter(0))
    await last.done(each, [...(await last.read(each)).keys()]);
  expect([last.waiting, last.bytes]).toEqual([0, 0]);
  expect(readdirSync(folder)).toEqual([]);
});

it('writes those of one moment together, into files that end', async () => {
  const journal = await openJournal();
  const many = plays(0, Math.ceil((3 * SEGMENT_BYTES) / toLine(play(0)).length));
  for (let start = 0; start < many.length; start += 1_000)
    await Promise.all(many.slice(start, start + 1_000).map((each) => journal.append(each)));
  expect(readdirSync(folder).length).toBeGreaterThanOrEqual(3);
  expect(await waiting(journal)).toEqual(many);
});

it('leaves a torn line out, and what follows it stands', async () => {
  const journal = await openJournal();
  await Promise.all(plays(0, 3).map((each) => journal.append(each)));
  const file = join(folder, readdirSync(folder)[0]!);
  truncateSync(file, readFileSync(file).length - 20);
  const next = await openJournal();
  expect(await waiting(next)).toEqual(plays(0, 2));
  await next.append(play(3));
  expect(await waiting(next)).toEqual([...plays(0, 2), play(3)]);
  // In the middle as well, as after a disk that was full.
  appendFileSync(file, `\n12345678 ["torn"\n${toLine(play(4))}`);
  expect(await waiting(await openJournal())).toEqual([...plays(0, 2), play(4), play(3)]);
});

it('reads no wrong place from a torn list of those that are delivered', async () => {
  const journal = await openJournal();
  await Promise.all(plays(0, 30).map((each) => journal.append(each)));
  const segment = (await journal.segmentAfter(0))!;
  await journal.done(segment, [12]);
  const file = join(folder, `${segment.number}.done`);
  for (let bytes = 0; bytes < readFileSync(file).length; bytes += 1) {
    writeFileSync(file, '<12>'.slice(0, bytes));
    await journal.done(segment, [5]);
    expect([...(await journal.read(segment)).keys()]).toEqual([...Array(30).keys()].filter((place) => place !== 5));
    writeFileSync(file, '<12>');
  }
});

it('keeps a file to its last play, however often its list of those delivered could not be written', async () => {
  const journal = await openJournal();
  await Promise.all(plays(0, 4).map((each) => journal.append(each)));
  const segment = (await journal.segmentAfter(0))!;
  const list = join(folder, `${segment.number}.done`);
  for (let failures = 0; failures < 2; failures += 1) {
    // A disk that is full: what is written there fails with ENOSPC.
    symlinkSync('/dev/full', list);
    await expect(journal.done(segment, [0, 1])).rejects.toMatchObject({ code: 'ENOSPC' });
    rmSync(list);
  }
  expect(await waiting(journal)).toEqual(plays(0, 4));
  expect(journal.waiting).toBe(4);
  // And it goes with them, although part of a list was written before the disk was full.
  writeFileSync(list, '<0><1><');
  expect(await waiting(journal)).toEqual(plays(2, 4));
  await journal.done(segment, [2, 3]);
  expect([journal.waiting, readdirSync(folder)]).toEqual([0, []]);

  await Promise.all(plays(4, 6).map((each) => journal.append(each)));
  const { number } = (await journal.segmentAfter(0))!;
  writeFileSync(join(folder, `${number}.done`), '<0><1>');
  expect(await waiting(journal)).toEqual([]);
  expect([await journal.segmentAfter(0), readdirSync(folder)]).toEqual([undefined, []]);
});

it('loses what it has no room for, says so, and takes more when there is room again', async () => {
  const bytes = toLine(play(10)).length;
  const journal = await openJournal({ maxBytes: 3 * bytes });
  const written = await Promise.all(plays(10, 15).map((each) => journal.append(each)));
  expect(written).toEqual([true, true, true, false, false]);
  expect(lost).toEqual({ full: 2 });
  expect(journal.bytes).toBeLessThanOrEqual(3 * bytes);
  const segment = (await journal.segmentAfter(0))!;
  await journal.done(segment, [0, 1, 2]);
  expect(await journal.append(play(15))).toBe(true);
  // Also when what fills it is from an earlier life.
  await journal.append(play(16));
  expect(await (await openJournal({ maxBytes: bytes })).append(play(17))).toBe(false);
});

it('loses what cannot be written, says so, and goes on when it can be again', async () => {
  const journal = await openJournal();
  rmSync(folder, { recursive: true });
  expect(await journal.append(play(1))).toBe(false);
  expect(lost).toEqual({ not_written: 1 });
  expect([journal.waiting, journal.bytes]).toEqual([0, 0]);
  await (await openJournal()).close();
  expect(await journal.append(play(2))).toBe(true);
  expect(await waiting(journal)).toEqual([play(2)]);
});

it('tells when there is something to deliver', async () => {
  let told = 0;
  const journal = await openJournal({ onWritten: () => (told += 1) });
  await journal.append(play(1));
  await waitFor(() => told === 1, { what: 'a word' });
});
