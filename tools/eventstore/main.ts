import { parseArgs } from 'node:util';
import { openEventStore } from '@balados/platform-stores';
import { connect, disconnect } from '../bench/raw-client';
import { Progress, progressOf } from '../demo/progress';
import { optionsOf, wholeNumber } from '../options';
import { storesOf } from '../seed/stores';
import { copy, CopyDiffers, Log } from './copy';
import { show, Shown } from './show';

const USAGE = `npm run eventstore -- copy --from <url> --to <url>

Copies the listeners' streams of one event store into another, empty one: from the stand-in of \`npm start\` to an EventStoreDB, or back.
Each url is as in EVENTSTORE_URL (esdb://host:port?tls=false). Stop what writes first: all services but the stores. Ended in the
middle, it goes on where it was when it is run again. In the end it compares the two. The new store has an id of its own, so the
read models are to be rebuilt on it.

npm run eventstore -- show <stream> [--from <revision>] [--data]

Prints the events of a stream, such as listening-<user id>, one in a line: revision, position, type, when it was recorded, and the
correlation id of its request. What they say is the listener's own, and shown with --data alone. The store is that of EVENTSTORE_URL,
or of \`npm start\` in DATA_DIR.`;

type Options = ({ command: 'copy' } & Copying) | ({ command: 'show' } & Shown);

interface Copying {
  from: string;
  to: string;
}

async function runShow(shown: Shown): Promise<void> {
  const store = openEventStore({ url: storesOf(process.env).eventStore });
  let events = 0;
  try {
    for await (const line of show(store, shown)) {
      console.log(line);
      events += 1;
    }
    if (events === 0) console.error(`${shown.stream} has no events from revision ${shown.from} on.`);
  } finally {
    await store.close();
  }
}

async function runCopy({ from, to }: Copying): Promise<void> {
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
    options: {
      from: { type: 'string' },
      to: { type: 'string' },
      data: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const { from, to, data } = values;
  const [command, stream, ...others] = positionals;
  if (command === 'show' && stream && others.length === 0) {
    if (to !== undefined) throw new Error('--to is of copy');
    return { command, stream, from: from === undefined ? 0 : wholeNumber('from', from, 0), withData: data };
  }
  if (positionals.join(' ') !== 'copy') throw new Error(`no such command: ${positionals.join(' ') || '(none)'}`);
  if (data) throw new Error('--data is of show');
  if (!from || !to) throw new Error('--from and --to are both needed');
  if (from === to) throw new Error('--from and --to are the same store');
  return { command: 'copy', from, to };
}

async function main(): Promise<void> {
  const options = optionsOf(USAGE, readOptions);
  if (!options) return;
  try {
    await (options.command === 'show' ? runShow(options) : runCopy(options));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    const isUnfinished = options.command === 'copy' && !(error instanceof CopyDiffers);
    console.error(
      `${options.command} failed: ${reason}.${isUnfinished ? ' Run it again: it goes on where it was.' : ''}`,
    );
    process.exitCode = 1;
  }
}

void main();
