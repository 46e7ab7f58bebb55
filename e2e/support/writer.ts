import { setTimeout as delay } from 'node:timers/promises';
import { Answer, base64, Device } from './client';
import { oneOf } from './limits';

/** A client waits this long before it sends a write again, in milliseconds. */
const RETRY_PAUSE_MS = 100;
/** Share of the writes that are sent once and given up when they fail; the others are repeated until they are acknowledged. */
const GIVEN_UP = 0.25;
/** Share of the acknowledged writes that are looked for by a read at once. */
const READ_BACK = 0.2;
const ITEMS_PER_FEED = 3;

/** What a write must leave in its stream: one event with this key if it was acknowledged, at most one if not. */
export interface Effect {
  stream: 'subscriptions' | 'listening';
  key: string;
  acknowledged: boolean;
}

export interface WriterOptions {
  random: () => number;
  /** Canonical URLs. */
  feeds: readonly string[];
}

/**
 * A listener's device that writes without pause, each write another than all before it, and keeps a list of what was acknowledged.
 * Refused connections and 503 are met as a client meets them; any other answer than 200 ends the writing with an error.
 */
export class Writer {
  readonly effects: Effect[] = [];
  acknowledged = 0;
  givenUp = 0;
  readBack = 0;
  /** Times that a write was not answered, or by 503. */
  unavailable = 0;
  private count = 0;
  /** The newest date that a write of ours may have. */
  private newest = 0;
  /** Feed → the `rss_source_id` under which it is surely subscribed to. */
  private readonly subscribed = new Map<string, string>();

  constructor(
    private readonly device: Device,
    private readonly options: WriterOptions,
  ) {}

  get userId(): string {
    return this.device.userId;
  }

  /** Writes until `signal` aborts; the write that is under way then is finished. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted)
      await oneOf(this.options.random, [this.subscription, this.play, this.play, this.position, this.sync])();
  }

  private readonly subscription = async (): Promise<void> => {
    const feed = oneOf(this.options.random, this.options.feeds);
    const held = this.subscribed.get(feed);
    this.subscribed.delete(feed);
    if (held) {
      const answer = await this.write([this.effect('subscriptions', `-${held}`)], () => this.device.unsubscribe(feed));
      if (answer) await this.expectSubscription(feed, undefined);
      return;
    }
    const id = this.nextId();
    const body = { rss_source_feed: base64(feed), rss_source_id: id };
    const effect = this.effect('subscriptions', `+${id}`);
    const answer = await this.write([effect], () => this.device.send('POST', '/subscriptions', body));
    if (!answer) return;
    this.subscribed.set(feed, id);
    await this.expectSubscription(feed, id);
  };

  private readonly play = async (): Promise<void> => {
    const { feed, item, position } = this.nextPlay();
    const effect = this.effect('listening', `${position}`);
    if (await this.write([effect], () => this.device.play(feed, item, position)))
      await this.expectPlay(feed, item, position);
  };

  private readonly position = async (): Promise<void> => {
    const { feed, item, position } = this.nextPlay();
    const effect = this.effect('listening', `${position}`);
    if (await this.write([effect], () => this.device.position(item, position, feed)))
      await this.expectPlay(feed, item, position);
  };

  /** Three episodes of three items and a podcast, dated so that they are newer than all before. */
  private readonly sync = async (): Promise<void> => {
    const now = this.nextDate();
    const plays = Array.from({ length: ITEMS_PER_FEED }, (_, index) => this.nextPlay(index));
    const feed = oneOf(this.options.random, this.options.feeds);
    const id = this.nextId();
    this.subscribed.delete(feed);
    const body = {
      subscriptions: [{ rss_source_feed: base64(feed), rss_source_id: id, subscribed_at: now }],
      play_statuses: plays.map(({ feed, item, position }) => ({
        rss_source_feed: base64(feed),
        rss_source_item: base64(item),
        position,
        updated_at: now,
      })),
    };
    const effects = [
      this.effect('subscriptions', `+${id}`),
      ...plays.map(({ position }) => this.effect('listening', `${position}`)),
    ];
    const answer = await this.write(effects, () => this.device.sync(body));
    if (!answer) return;
    this.subscribed.set(feed, id);
    const { data, rejected } = answer.body;
    if (rejected.length > 0) throw new Error(`a sync was rejected: ${JSON.stringify(rejected)}`);
    for (const play of plays) {
      const held = data.play_statuses.find(
        (status: { rss_source_item: string }) => status.rss_source_item === base64(play.item),
      );
      if (held?.position !== play.position) throw new Error(`a sync’s answer lacks its own play ${play.position}`);
    }
  };

  /** @returns the answer 200, or undefined when the write was given up */
  private async write(effects: Effect[], send: () => Promise<Answer>): Promise<Answer | undefined> {
    this.effects.push(...effects);
    const once = this.options.random() < GIVEN_UP;
    for (;;) {
      const answer = await orDisconnected(send());
      if (answer?.status === 200) {
        for (const effect of effects) effect.acknowledged = true;
        this.acknowledged += 1;
        const dates = /"(?:updated_at|subscribed_at|unsubscribed_at)":"([^"]+)"/g;
        for (const [, date] of JSON.stringify(answer.body.data).matchAll(dates)) this.saw(Date.parse(date!));
        return answer;
      }
      if (answer && (answer.status !== 503 || !answer.headers.get('retry-after')))
        throw new Error(`answered ${answer.status} ${JSON.stringify(answer.body)}`);
      this.unavailable += 1;
      if (once) {
        // It may yet have been applied, with a date that we were not told.
        this.saw(Math.max(Date.now(), this.newest + 1));
        this.givenUp += 1;
        return undefined;
      }
      await delay(RETRY_PAUSE_MS);
    }
  }

  private async expectSubscription(feed: string, id: string | undefined): Promise<void> {
    const body = await this.read('/subscriptions');
    if (!body) return;
    const held = body.subscriptions.find(
      (entry: { rss_source_feed: string }) => entry.rss_source_feed === base64(feed),
    );
    if (held?.rss_source_id !== id)
      throw new Error(
        `${this.userId}: read ${JSON.stringify(held)} of ${feed} after the acknowledged ${id ?? 'unsubscription'}`,
      );
  }

  private async expectPlay(feed: string, item: string, position: number): Promise<void> {
    const body = await this.read('/play?limit=100');
    if (!body) return;
    const held = body.play_statuses.find(
      (play: { rss_source_feed: string; rss_source_item: string }) =>
        play.rss_source_feed === base64(feed) && play.rss_source_item === base64(item),
    );
    if (held?.position !== position)
      throw new Error(`${this.userId}: read ${JSON.stringify(held)} after the acknowledged position ${position}`);
  }

  /** A read that some acknowledged writes are followed by; undefined when none was made, or none that promises to be fresh. */
  private async read(path: string) {
    if (this.options.random() >= READ_BACK) return undefined;
    const answer = await orDisconnected(this.device.get(path));
    if (answer?.status !== 200) {
      if (answer && answer.status !== 503)
        throw new Error(`a read answered ${answer.status} ${JSON.stringify(answer.body)}`);
      return undefined;
    }
    if (answer.headers.get('balados-stale')) return undefined;
    this.readBack += 1;
    return answer.body;
  }

  private effect(stream: Effect['stream'], key: string): Effect {
    return { stream, key, acknowledged: false };
  }

  private nextId(): string {
    this.count += 1;
    return `s${this.count}`;
  }

  private nextPlay(index = Math.floor(this.options.random() * ITEMS_PER_FEED)) {
    this.count += 1;
    const feed = oneOf(this.options.random, this.options.feeds);
    return { feed, item: `${feed}#${index},https://media.example/${index}.mp3`, position: this.count };
  }

  private nextDate(): string {
    this.saw(Math.max(Date.now(), this.newest + 1));
    return new Date(this.newest).toISOString();
  }

  private saw(time: number): void {
    this.newest = Math.max(this.newest, time);
  }
}

/** Undefined when the connection was refused or cut; a request that is not answered at all is an error. */
async function orDisconnected(request: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await request;
  } catch (error) {
    // By name: fetch's TypeError is not that of Jest's realm.
    if ((error as Error).name === 'TypeError') return undefined;
    throw error;
  }
}
