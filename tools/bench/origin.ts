import { createServer, RequestListener } from 'node:http';
import { AddressInfo } from 'node:net';
import { itemOf } from '@balados/feeds-content';

/** A feed that the origin makes up: which one, of how many items of so many bytes, and how long it takes to answer. */
export interface MadeUp {
  n: number;
  items: number;
  itemBytes: number;
  delayMs: number;
}

const guidOf = (n: number, item: number): string => `${n}-${item}`;
const enclosureOf = (n: number, item: number): string => `https://media.example/${n}/${item}.mp3`;

/** `<guid>,<enclosure>` of a feed's item. */
export const madeUpItem = (n: number, item: number): string =>
  itemOf({ guid: guidOf(n, item), enclosure: enclosureOf(n, item) });

/** Addresses of the loopback at which the origin answers: a few feeds of each host are fetched at a time, and podcasts have many hosts. */
const HOSTS = Array.from({ length: 50 }, (_, n) => `127.0.1.${n + 1}`);

export const madeUpUrl = (port: number, { n, items, itemBytes, delayMs }: MadeUp): string =>
  `http://${HOSTS[n % HOSTS.length]}:${port}/${n}/${items}/${itemBytes}/${delayMs}.xml`;

/** What rss-proxy must be told to fetch from it. */
export const allowOrigin = (port: number): { FEEDS_ALLOW_PRIVATE: string } => ({
  FEEDS_ALLOW_PRIVATE: HOSTS.map((host) => `${host}:${port}`).join(','),
});

/** As the proxy serves it, which changes nothing of it. */
export function madeUpFeed({ n, items, itemBytes }: MadeUp): string {
  const published = Date.UTC(2026, 0, 1);
  const text = 'They talk about this and that, and then about the other thing. '.repeat(Math.ceil(itemBytes / 63));
  const itemsText = Array.from(
    { length: items },
    (_, item) =>
      `<item><title>Episode ${item}</title><guid>${guidOf(n, item)}</guid>` +
      `<pubDate>${new Date(published - item * 86_400_000).toUTCString()}</pubDate>` +
      `<enclosure url="${enclosureOf(n, item)}" length="1" type="audio/mpeg"/>` +
      `<description>${text.slice(0, Math.max(0, itemBytes - 250))}</description></item>\n`,
  );
  return (
    `<?xml version="1.0" encoding="utf-8"?>\n<rss version="2.0"><channel><title>Show ${n}</title>` +
    `<link>https://shows.example/${n}</link>\n${itemsText.join('')}</channel></rss>`
  );
}

/** The worker that publishes them. Answers its port. */
export async function publishFeeds(): Promise<number> {
  const answer: RequestListener = ({ url }, response) => {
    const [n, items, itemBytes, delayMs] = url!.slice(1).split(/[/.]/).map(Number) as [number, number, number, number];
    const send = () => response.end(madeUpFeed({ n, items, itemBytes, delayMs }));
    if (delayMs === 0) send();
    else setTimeout(send, delayMs);
  };
  let port = 0;
  for (const host of HOSTS) {
    const server = createServer(answer);
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    port = (server.address() as AddressInfo).port;
  }
  return port;
}
