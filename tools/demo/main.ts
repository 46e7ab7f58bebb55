import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Api, DemoFailed } from './api';
import { readLibrary } from './library';
import { episodesOf, stepsOf, visit, Visit } from './listener';
import { progressOf } from './progress';
import { trending } from './trending';

const USAGE = `npm run demo -- [--feeds <folder of .xml files>] [--url http://127.0.0.1:4000] [--public <url>]

Two listeners, each with a phone and a laptop, play with real feeds against a running system, over HTTP only.
Without --feeds they take a few small ones of our own. --public is where public-api answers, when it runs by itself.`;

const LISTENERS = 2;
/** Trending podcasts that are shown. */
const TOP = 5;

/** Of the bundle, which lies in dist/tools/demo. */
const OUR_FEEDS = resolve(__dirname, '../../../tools/demo/feeds');

const count = (number: number): string => number.toLocaleString('en');
const seconds = (milliseconds: number): string => `${(milliseconds / 1_000).toFixed(2)} s`;

function tell({ name, played, moved, devices, took }: Visit): void {
  for (const { name: device, subscriptions, episodes } of devices)
    console.log(`${name}  ${device.padEnd(6)}  ${count(subscriptions)} podcasts  ${count(episodes)} episodes`);
  console.log(`  the same on both; ${played} plays and ${moved} positions sent while listening`);
  console.log(
    `  ${Object.entries(took)
      .map(([what, time]) => `${what} ${seconds(time)}`)
      .join(', ')}`,
  );
}

async function demo(feeds: string, url: string, publicUrl: string): Promise<void> {
  const library = readLibrary(feeds);
  console.log(`${count(library.length)} podcasts with ${count(episodesOf(library))} episodes from ${feeds}`);
  const api = new Api(url.replace(/\/+$/, ''));
  const progress = progressOf(LISTENERS * stepsOf(library), process.stderr);
  const visits: Visit[] = [];
  try {
    for (let nth = 0; nth < LISTENERS; nth += 1) visits.push(await visit(api, library, nth, progress));
  } finally {
    progress.stop();
  }
  visits.forEach(tell);
  const begun = performance.now();
  const found = await trending(new Api(publicUrl.replace(/\/+$/, '')), library);
  console.log(`Trending  ${found.length} of ${library.length} podcasts, ${seconds(performance.now() - begun)} later`);
  for (const { title, score, plays, likes } of found.slice(0, TOP))
    console.log(`  ${String(score).padStart(5)}  ${title} (${plays} plays, ${likes} likes)`);
}

async function main(): Promise<void> {
  let options: { feeds?: string; url: string; public?: string; help: boolean };
  try {
    options = parseArgs({
      options: {
        feeds: { type: 'string' },
        url: { type: 'string', default: 'http://127.0.0.1:4000' },
        public: { type: 'string' },
        help: { type: 'boolean', default: false },
      },
    }).values as typeof options;
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : error}\n\n${USAGE}`);
    process.exitCode = 2;
    return;
  }
  if (options.help) return console.log(USAGE);
  try {
    // npm runs us in the project's folder, wherever it was called.
    const feeds = options.feeds === undefined ? OUR_FEEDS : resolve(process.env['INIT_CWD'] ?? '.', options.feeds);
    await demo(feeds, options.url, options.public ?? options.url);
  } catch (error) {
    console.error(error instanceof DemoFailed ? `The demo failed: ${error.message}` : error);
    process.exitCode = 1;
  }
}

void main();
