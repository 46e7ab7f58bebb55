import { SubscriptionsEvent, usersEvents } from '@balados/users-contracts';
import { subscriptions } from '@balados/users-domain';
import { Recorded } from '@balados/event-sourcing';
import { Answer, base64, Device, newListener } from './support/client';
import { LONG, within } from './support/limits';
import { LogReader } from './support/log';
import { ServiceProcess } from './support/service-process';
import { startSystem, System } from './support/system';

const ROUNDS = LONG ? 500 : 100;
/** Each read waits for projections that do not come. */
const ROUNDS_WITHOUT_PROJECTIONS = 8;
const FEED = 'https://feeds.example/contested.xml';

/** What an answer and a read say of one podcast: when it was subscribed to, and when no longer. */
interface Standing {
  subscribed_at: string | null;
  unsubscribed_at: string | null;
}

/** Both copies have folded the listener's stream before, and each learns of the other's writes from the log alone. */
describe('two copies of command-api', () => {
  let system: System;
  let copy: ServiceProcess;
  let log: LogReader;
  /** The same listener on the one and on the other copy. */
  let one: Device;
  let other: Device;
  let stream: string;

  beforeAll(async () => {
    system = await startSystem('services', {}, ['projections', 'command-api']);
    copy = new ServiceProcess('command-api-2', 'command-api/main', system.envOf('command-api'));
    system.processes['command-api-2'] = copy;
    await copy.start();
    log = new LogReader(system.eventStore);
  }, 120_000);
  afterAll(async () => {
    await log?.close();
    await system?.stop();
  }, 120_000);

  beforeEach(async () => {
    one = await newListener(system.listeners);
    other = new Device(copy.url, one.userId, one.token, one.refreshToken);
    stream = `subscriptions-${one.userId}`;
    for (const device of [one, other]) await acknowledged(device.subscribe('https://feeds.example/warm.xml'));
  });

  const inTime = (body: () => Promise<void>) => within(LONG ? 400 : 90, () => Object.values(system.processes), body);

  async function acknowledged(request: Promise<Answer>): Promise<Standing> {
    const { status, body } = await request;
    expect([status, body.status]).toEqual([200, 'success']);
    return { subscribed_at: body.data.subscribed_at, unsubscribed_at: body.data.unsubscribed_at };
  }

  /** How the podcast stood after the event at `revision`, and after each later one. */
  async function standingsFrom(revision: number): Promise<Standing[]> {
    const events = await log.read(stream, revision);
    return events.map((stored) => {
      const [{ data }] = usersEvents.decode(stored) as [Recorded<SubscriptionsEvent>];
      // Before it there is the warm-up only, of another podcast.
      if (data.feed !== FEED) return { subscribed_at: null, unsubscribed_at: null };
      return { subscribed_at: data.subscribedAt, unsubscribed_at: data.unsubscribedAt };
    });
  }

  const isSubscribed = ({ subscribed_at: since, unsubscribed_at: until }: Standing): boolean =>
    (since ?? '') > (until ?? '');

  async function read(device: Device): Promise<Standing | undefined> {
    const { status, headers, body } = await device.get('/subscriptions');
    expect([status, headers.get('balados-stale')]).toEqual([200, null]);
    const held = body.subscriptions.find(
      (entry: { rss_source_feed: string }) => entry.rss_source_feed === base64(FEED),
    );
    return held && { subscribed_at: held.subscribed_at, unsubscribed_at: held.unsubscribed_at };
  }

  /** Turn by turn: every acknowledgement is the log's last word, and the other copy knows it at once. */
  async function inTurn(rounds: number): Promise<void> {
    for (let round = 0; round < rounds; round += 1) {
      const [writer, reader] = round % 2 === 0 ? [one, other] : [other, one];
      const here = await acknowledged(writer.subscribe(FEED));
      expect(isSubscribed(here)).toBe(true);
      expect(await read(reader)).toEqual(here);
      const repeated = await acknowledged(reader.subscribe(FEED));
      expect(repeated).toEqual(here);
      const gone = await acknowledged(reader.unsubscribe(FEED));
      expect(isSubscribed(gone)).toBe(false);
      expect(await read(writer)).toBeUndefined();
      // The log has one event for each change and none for the repeat.
      expect(await standingsFrom(2 * round + 1)).toEqual([here, gone]);
    }
  }

  it('acknowledge only what happened, in turns', ...inTime(() => inTurn(ROUNDS)));

  it(
    'acknowledge only what happened, at the same time',
    ...inTime(async () => {
      for (let round = 0; round < ROUNDS; round += 1) {
        const before = await log.head(stream);
        const [subscribed, unsubscribed] = await Promise.all([
          acknowledged(one.subscribe(FEED)),
          acknowledged(other.unsubscribe(FEED)),
        ]);
        // Each answer is how the podcast stood at some moment between request and answer.
        const standings = await standingsFrom(before);
        expect(isSubscribed(subscribed)).toBe(true);
        expect(standings).toContainEqual(subscribed);
        expect(isSubscribed(unsubscribed)).toBe(false);
        expect(standings).toContainEqual(unsubscribed);
        const last = standings.at(-1)!;
        for (const device of [one, other]) expect(await read(device)).toEqual(isSubscribed(last) ? last : undefined);
      }
    }),
  );

  it(
    'acknowledge only what happened, while no projection runs',
    ...inTime(async () => {
      const projections = system.processes['projections']!;
      projections.signal('SIGSTOP');
      try {
        await inTurn(ROUNDS_WITHOUT_PROJECTIONS);
      } finally {
        projections.signal('SIGCONT');
      }
    }),
  );

  it(
    'agree with the fold of the log in the end',
    ...inTime(async () => {
      const both = Array.from({ length: 2 * ROUNDS }, (_, index) => {
        const device = index % 2 === 0 ? one : other;
        return acknowledged(index % 3 === 0 ? device.unsubscribe(FEED) : device.subscribe(FEED));
      });
      await Promise.all(both);
      let state = subscriptions.initialState();
      for (const stored of await log.read(stream))
        state = subscriptions.evolve(state, usersEvents.decode(stored)[0] as Recorded<SubscriptionsEvent>);
      const held = state.feeds.get(FEED)!;
      const expected = { subscribed_at: new Date(held.subscribedAt!).toISOString() };
      for (const device of [one, other]) {
        const answer = await read(device);
        if (held.subscribedAt! > (held.unsubscribedAt ?? -1)) expect(answer).toMatchObject(expected);
        else expect(answer).toBeUndefined();
      }
    }),
  );
});
