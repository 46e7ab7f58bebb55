import { appendFileSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@balados/platform-service';
import { recentKey, RecentPlays, REPEAT_MS } from './recent-plays';

const log = createLogger('test', 'silent');
let folder: string;
let now: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'balados-recent-'));
  now = 1_800_000_000_000;
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const open = (max = 1_000): Promise<RecentPlays> => RecentPlays.open(folder, { log, max, clock: () => now });

it('a play is one of its token, feed and episode, whatever the enclosure is', () => {
  const key = recentKey('ab', 'https://feeds.example/', 'guid,https://old.example/1.mp3');
  expect(recentKey('ab', 'https://feeds.example/', 'guid,https://new.example/1.mp3')).toBe(key);
  expect(recentKey('cd', 'https://feeds.example/', 'guid,https://old.example/1.mp3')).not.toBe(key);
  expect(recentKey('ab', 'https://other.example/', 'guid,https://old.example/1.mp3')).not.toBe(key);
  expect(recentKey('ab', 'https://feeds.example/', 'guid-2,https://old.example/1.mp3')).not.toBe(key);
});

it('is known for a day, and not a moment longer', async () => {
  const recent = await open();
  const key = recentKey('ab', 'https://feeds.example/', 'guid,');
  expect(recent.has(key)).toBe(false);
  recent.add(key, now);
  now += REPEAT_MS - 1;
  expect(recent.has(key)).toBe(true);
  now += 1;
  expect(recent.has(key)).toBe(false);
  recent.add(key, now);
  expect(recent.has(key)).toBe(true);
  recent.delete(key);
  expect(recent.has(key)).toBe(false);
  await recent.close();
});

it('is not taken for a repeat for as long as a clock was ahead', async () => {
  const [recent, key] = [await open(), recentKey('ab', 'https://feeds.example/', 'guid,')];
  now += 365 * REPEAT_MS;
  recent.add(key, now);
  now -= 365 * REPEAT_MS;
  expect(recent.has(key)).toBe(false);
  recent.add(key, now);
  // Set back a little, it is one.
  now -= 1_000;
  expect(recent.has(key)).toBe(true);
  await recent.close();
  expect((await open()).has(key)).toBe(true);
});

it('is known to the next life, however often one ends and where its last words are torn', async () => {
  const keys = Array.from({ length: 5 }, (_, index) => recentKey('ab', 'https://feeds.example/', `guid-${index},`));
  for (const [index, key] of keys.entries()) {
    const recent = await open();
    recent.add(key, now);
    await recent.close();
    for (const known of keys.slice(0, index + 1)) expect((await open()).has(known)).toBe(true);
    appendFileSync(join(folder, '1.recent'), 'torn');
    now += 1_000;
  }
  now += REPEAT_MS;
  for (const key of keys) expect((await open()).has(key)).toBe(false);
});

it('takes no more room than it may, and forgets the oldest first', async () => {
  const recent = await open(100);
  const keyOf = (index: number) => recentKey('ab', 'https://feeds.example/', `guid-${index},`);
  for (let index = 0; index < 1_000; index += 1) {
    recent.add(keyOf(index), now);
    expect(recent.size).toBeLessThanOrEqual(100);
    expect(recent.has(keyOf(Math.max(0, index - 49)))).toBe(true);
  }
  expect(recent.has(keyOf(0))).toBe(false);
  await recent.close();
  expect(readdirSync(folder).length).toBeLessThanOrEqual(2);
  const next = await open(100);
  expect(next.has(keyOf(999))).toBe(true);
  expect(next.has(keyOf(950))).toBe(true);
});
