import { parseArgs } from 'node:util';
import { openEventStore } from '@balados/platform-stores';
import { connect, disconnect } from '../bench/raw-client';
import { Progress, progressOf } from '../demo/progress';
import { optionsOf } from '../options';
import { copy, CopyDiffers, Log } from './copy';

const USAGE = `npm run eventstore -- copy --from <url> --to <url>

Copies the listeners' streams of one event store into another, empty one: from the stand-in of \`npm start\` to an EventStoreDB, or back.
Each url is as in EVENTSTORE_URL (esdb://host:port?tls=false). Stop what writes first: all services but the stores. Ended in the
middle, it goes on where it was when it is run again. In the end it compares the two. The new store has an id of its own, so the
read models are to be rebuilt on it.`;

interface Options {
  from: string;
  to: string;
}

async function run({ from, to }: Options): Promise<void> {
  const source: Log = { store: openEventStore({ url: from }), client: connect(from) };
  const target: Log = { store: openEventStore({ url: to }), client: connect(to) };
  const begun = performance.now();
  let progress: Progress | undefined;
  try {
    const { streams, events, appended, deletedStreams } = await copy(source, target, {
      reading: () => console.log('Looking through the source …'),
      copying(total) {
        console.log(`${total.toLocaleString('en')} events to go through`);
        progress = progressOf(2 * total, process.stderr);
        progress.doing('copying');
      },
      comparing: () => progress!.doing('comparing'),
      done: (count) => progress!.done(count),
    });
    progress!.stop();
    console.log(
      `Equal: ${streams.toLocaleString('en')} streams with ${events.toLocaleString('en')} events, ${appended.toLocaleString('en')} of ` +
        `them appended now, and ${deletedStreams} deleted streams; ${((performance.now() - begun) / 1_000).toFixed(0)} s.`,
    );
  } finally {
    progress?.stop();
    for (const { store, client } of [source, target]) {
      await (store as ReturnType<typeof openEventStore>).close();
      await disconnect(client);
    }
  }
}

/** @throws Error for what is no such command */
function readOptions(): Options | undefined {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { from: { type: 'string' }, to: { type: 'string' }, help: { type: 'boolean', default: false } },
  });
  if (values.help) return undefined;
  if (positionals.join(' ') !== 'copy') throw new Error(`no such command: ${positionals.join(' ') || '(none)'}`);
  const { from, to } = values;
  if (!from || !to) throw new Error('--from and --to are both needed');
  if (from === to) throw new Error('--from and --to are the same store');
  return { from, to };
}

async function main(): Promise<void> {
  const options = optionsOf(USAGE, readOptions);
  if (!options) return;
  try {
    await run(options);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const advice = error instanceof CopyDiffers ? '' : ' Run it again: it goes on where it was.';
    console.error(`The copy failed: ${reason}.${advice}`);
    process.exitCode = 1;
  }
}

void main();
