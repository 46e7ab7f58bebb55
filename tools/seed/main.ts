import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { connect, disconnect, newestOfListeners } from '../bench/raw-client';
import { Api, DemoFailed } from '../demo/api';
import { progressOf } from '../demo/progress';
import { optionsOf, wholeNumber } from '../options';
import { Account, createAccounts } from './accounts';
import { append } from './append';
import { historyOf, Stream } from './history';
import { measure, stepsOf } from './measure';
import { untilProjected } from './projected';
import { Stores, storesOf } from './stores';
import { Town } from './town';

const USAGE = `npm run seed -- [--listeners 1000] [--subscriptions 50] [--plays 500] [--feeds 5000]
                [--measure] [--requests 300] [--url http://127.0.0.1:4000] [--public <url>] [--password <text>]

Fills a running system with a town of listeners who share podcasts: subscriptions, plays, saves, shares, playlists and privacy
settings of the last 30 days, past the API, straight into its event store. Sent again, it adds as many more. It finds the stores of
\`npm start\` in DATA_DIR; elsewhere EVENTSTORE_URL, USERS_DATABASE_URL and SITE_DATABASE_URL name them. --measure then times every
read, --requests times. All listeners have one password, which is made up unless given.`;

/** Parts of the bar while the projections catch up. */
const PARTS = 1_000;

interface Options {
  url: string;
  publicUrl: string;
  password: string;
  measure: boolean;
  requests: number;
  town: Town;
}

const seconds = (since: number): string => `${((performance.now() - since) / 1_000).toFixed(0)} s`;
const count = (number: number): string => number.toLocaleString('en');

async function seed({ url, publicUrl, password, measure: isMeasured, requests, town }: Options): Promise<void> {
  const stores = storesOf(process.env);
  const api = new Api(url);
  const run = randomBytes(3).toString('hex');
  const accounts = await createAccounts(api, stores.users, { run, count: town.listeners, password });
  await fill(stores, town, accounts);
  console.log(`Log in as ${accounts[0]!.username} to ${accounts.at(-1)!.username}, password ${password}`);
  if (!isMeasured) return;
  const progress = progressOf(stepsOf(requests), process.stderr);
  const apis = { listeners: api, everybody: new Api(publicUrl) };
  const lines = await measure(apis, { accounts, password, requests }, progress).finally(() => progress.stop());
  for (const line of lines) console.log(line);
}

async function fill(stores: Stores, town: Town, accounts: readonly Account[]): Promise<void> {
  const store = connect(stores.eventStore);
  const progress = progressOf(town.listeners + PARTS, process.stderr);
  let events = 0;
  function* streams(): Iterable<Stream> {
    for (const [nth, { userId }] of accounts.entries()) {
      yield* historyOf(town, nth, userId);
      progress.done();
    }
  }
  try {
    const from = (await newestOfListeners(store)) ?? 0n;
    let begun = performance.now();
    progress.doing(`${count(town.listeners)} listeners`);
    await append(store, streams(), (appended) => (events += appended));
    const appended = seconds(begun);
    const to = (await newestOfListeners(store))!;

    begun = performance.now();
    progress.doing('projections');
    let parts = 0;
    await untilProjected(stores, { from, to }, (share) => {
      const more = Math.floor(share * PARTS) - parts;
      parts += more;
      progress.done(more);
    });
    progress.stop();
    console.log(
      `${count(town.listeners)} listeners, ${count(events)} events: appended in ${appended}, projected ${seconds(begun)} later`,
    );
  } finally {
    progress.stop();
    await disconnect(store);
  }
}

/** @throws Error for an option that is none, or no number */
function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      listeners: { type: 'string', default: '1000' },
      subscriptions: { type: 'string', default: '50' },
      plays: { type: 'string', default: '500' },
      feeds: { type: 'string', default: '5000' },
      url: { type: 'string', default: 'http://127.0.0.1:4000' },
      public: { type: 'string' },
      password: { type: 'string', default: randomBytes(12).toString('hex') },
      measure: { type: 'boolean', default: false },
      requests: { type: 'string', default: '300' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const number = (name: 'listeners' | 'subscriptions' | 'plays' | 'feeds' | 'requests'): number =>
    wholeNumber(name, values[name]);
  const [subscriptions, feeds] = [number('subscriptions'), number('feeds')];
  if (feeds < 4 * subscriptions) throw new Error('--feeds must be at least four times --subscriptions');
  const town = { listeners: number('listeners'), subscriptions, plays: number('plays'), feeds, now: Date.now() };
  const url = values.url.replace(/\/+$/, '');
  return {
    url,
    publicUrl: (values.public ?? url).replace(/\/+$/, ''),
    password: values.password,
    measure: values.measure,
    requests: number('requests'),
    town,
  };
}

async function main(): Promise<void> {
  const options = optionsOf(USAGE, readOptions);
  if (!options) return;
  try {
    await seed(options);
  } catch (error) {
    console.error(error instanceof DemoFailed ? `The seeding failed: ${error.message}` : error);
    process.exitCode = 1;
  }
}

void main();
