import 'reflect-metadata';
import { connect, createServer, AddressInfo } from 'node:net';
import { once } from 'node:events';
import { ConsoleLogger } from '@nestjs/common';
import { waitFor } from '@balados/testing';
import { FeedsClient, FeedUnavailable, FeedMetadata } from './feeds-client';
import { openFeedsClient, OpenFeedsClient } from './open-feeds-client';
import { FeedsServer, serveFeeds } from './serve-feeds';
import { MESSAGE_MAX_LENGTH } from './transport';

const metadata: FeedMetadata = {
  title: 'Night Trains — “ночь”',
  author: null,
  link: 'https://trains.example/',
  cover: { src: 'https://trains.example/cover.jpg', srcset: null },
  blocked: false,
  gone: false,
  movedTo: 'https://trains.example/new.xml',
};
const FEED = 'https://trains.example/feed.xml';
const logger = new ConsoleLogger({ logLevels: [] });
const failure = (asked: Promise<unknown>): Promise<unknown> => asked.then(() => 'no failure').catch((error) => error);

/** What is asked of the slow feed, until it is answered. */
let asked = false;
let answerSlow: () => void;

/** Answers what its questions name. */
const feeds: FeedsClient = {
  async episode({ feed, item }) {
    if (feed === 'https://away.example/') throw new FeedUnavailable('feed_timeout', 'It did not answer.', 30_000);
    if (feed === 'https://broken.example/') throw new Error('secret detail');
    if (feed === 'https://slow.example/') {
      asked = true;
      return new Promise((resolve) => (answerSlow = () => resolve({ enclosure: 'late', durationS: null })));
    }
    return item === 'gone,' ? null : { enclosure: item, durationS: 61.5 };
  },
  metadata: async () => metadata,
};

describe("the feeds' transport", () => {
  let server: FeedsServer;
  let client: OpenFeedsClient;
  const opened: OpenFeedsClient[] = [];
  const open = (url: string, options?: { timeoutMs: number }): OpenFeedsClient => {
    opened.push(openFeedsClient(url, options));
    return opened.at(-1)!;
  };

  const serve = (port = 0, drainMs = 10_000): Promise<FeedsServer> =>
    serveFeeds(feeds, { host: '127.0.0.1', port, logger, drainMs });

  beforeEach(async () => {
    asked = false;
    answerSlow = () => undefined;
    server = await serve();
    client = open(`tcp://127.0.0.1:${server.port}`);
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) each.close();
    answerSlow();
    await server.close();
  });

  it('brings answers whole', async () => {
    expect(await client.metadata({ feed: FEED })).toEqual(metadata);
    expect(await client.episode({ feed: FEED, item: 'guid,https://media.example/ü.mp3' })).toEqual({
      enclosure: 'guid,https://media.example/ü.mp3',
      durationS: 61.5,
    });
    expect(await client.episode({ feed: FEED, item: 'gone,' })).toBeNull();
  });

  it('brings what is unavailable, with its code', async () => {
    const error = await failure(client.episode({ feed: 'https://away.example/', item: 'a,' }));
    expect(error).toBeInstanceOf(FeedUnavailable);
    expect(error).toMatchObject({ code: 'feed_timeout', message: 'It did not answer.', retryAfterMs: 30_000 });
  });

  it('says nothing of what went wrong inside', async () => {
    const error = await failure(client.episode({ feed: 'https://broken.example/', item: 'a,' }));
    expect(error).toMatchObject({ name: 'FeedUnavailable', code: 'unreachable' });
    expect(String(error)).not.toContain('secret');
  });

  it('waits no longer than told', async () => {
    const hasty = open(`tcp://127.0.0.1:${server.port}`, { timeoutMs: 50 });
    expect(await failure(hasty.episode({ feed: 'https://slow.example/', item: 'a,' }))).toMatchObject({
      code: 'late',
    });
  });

  it('refuses a question of another form', async () => {
    const error = await failure(client.episode({ feed: 'x'.repeat(2_049), item: 'a,' }));
    expect(error).toMatchObject({ code: 'malformed' });
  });

  it('fails at once while nobody listens, and answers again when somebody does', async () => {
    expect(await client.metadata({ feed: FEED })).toEqual(metadata);
    const { port } = server;
    await server.close();
    expect(await failure(client.metadata({ feed: FEED }))).toMatchObject({ code: 'unreachable' });
    server = await serve(port);
    expect(await client.metadata({ feed: FEED })).toEqual(metadata);
  });

  it('gives the answers under way before it ends', async () => {
    const slow = client.episode({ feed: 'https://slow.example/', item: 'a,' });
    await waitFor(() => asked, { what: 'the question' });
    const closed = server.close();
    answerSlow();
    expect(await slow).toEqual({ enclosure: 'late', durationS: null });
    await closed;
  });

  it('fails what is under way when the connection is lost', async () => {
    const hasty = await serve(0, 1);
    const other = open(`tcp://127.0.0.1:${hasty.port}`);
    const slow = failure(other.episode({ feed: 'https://slow.example/', item: 'a,' }));
    await waitFor(() => asked, { what: 'the question' });
    await hasty.close();
    expect(await slow).toMatchObject({ code: 'unreachable' });
  });

  it('cuts off who sends what is too long, and serves the others', async () => {
    const socket = connect(server.port, '127.0.0.1');
    socket.on('error', () => undefined);
    await once(socket, 'connect');
    const closed = once(socket, 'close');
    socket.write(`${MESSAGE_MAX_LENGTH * 4}#${'x'.repeat(MESSAGE_MAX_LENGTH * 2)}`);
    await closed;
    expect(await client.metadata({ feed: FEED })).toEqual(metadata);
  });

  it.each(['not a length#{}', '2#{]', '4#null', '2#{}', '14#{"pattern":{}}', '19#{"pattern":"other"}'])(
    'goes on after %s',
    async (text) => {
      const socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      const closed = once(socket, 'close');
      socket.end(text);
      socket.resume();
      await closed;
      expect(await client.metadata({ feed: FEED })).toEqual(metadata);
    },
  );

  it('takes no answer of another form', async () => {
    const other = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', (data) => {
        const { id } = JSON.parse(String(data).replace(/^\d+#/, '')) as { id: string };
        const answer = JSON.stringify({ id, response: { answer: { title: 7 } }, isDisposed: true });
        socket.write(`${answer.length}#${answer}`);
      });
    }).listen(0, '127.0.0.1');
    await once(other, 'listening');
    const misled = open(`tcp://127.0.0.1:${(other.address() as AddressInfo).port}`);
    expect(await failure(misled.metadata({ feed: FEED }))).toMatchObject({ code: 'unreachable' });
    misled.close();
    other.close();
  });
});
