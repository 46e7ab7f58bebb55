import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { nginxOrNone } from './support/nginx';
import { DEFAULT_LIMITS, Kind, startSystem, System } from './support/system';

const ROOT = resolve(__dirname, '..');
/** The journey ends by itself when a list does not come within a minute. */
const JOURNEY_LIMIT_MS = 180_000;

const REAL_FEEDS = process.env.REAL_FEEDS;
const libraries: [string, string[], RegExp][] = [
  ['feeds of our own', [], /Listener 2 {2}laptop/],
  // Without REAL_FEEDS there are no real feeds to try: the ones of our own must do.
  ...(REAL_FEEDS
    ? [
        ['real feeds', ['--feeds', REAL_FEEDS], /Listener 2 {2}laptop {2}16 podcasts {2}1,381 episodes/] as [
          string,
          string[],
          RegExp,
        ],
      ]
    : []),
];

const kinds: readonly Kind[] = ['services', 'standalone', 'cluster'];
const hasNginx = nginxOrNone() !== undefined;

describe.each(kinds)('the journey of two listeners on %s', (kind) => {
  if (kind === 'cluster' && !hasNginx) {
    it.skip('wants nginx, which this machine neither has nor gets', () => undefined);
    return;
  }
  let system: System;
  beforeAll(async () => {
    system = await startSystem(kind, DEFAULT_LIMITS);
  }, 120_000);
  afterAll(async () => system?.stop(), 120_000);

  it.each(libraries)(
    'ends with both devices of both in step, and every podcast trending: %s',
    async (_name, feeds, seen) => {
      const { code, output } = await run('demo', ['--url', system.listeners, '--public', system.public, ...feeds]);
      expect(output).toMatch(seen);
      expect(code).toBe(0);
      console.log(output);
    },
    JOURNEY_LIMIT_MS,
  );
});

function run(tool: string, options: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [`${ROOT}/tools/run.mjs`, tool, ...options], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, output })));
}
