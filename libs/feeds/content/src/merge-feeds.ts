import { episodeId, episodeKey } from '@balados/feeds-ids';
import { distinctEpisodes, FeedItem, itemOf, OpenFeed } from './feed';
import { MergedItem, mergedItem } from './merged-item';
import { USUAL_NAMESPACES } from './namespaces';
import { byDate, newestFirst } from './part-of-feed';
import { commentText, element, startTag } from './xml-text';

/** Items of a merged feed, unless less is asked for. */
export const MERGED_MAX_ITEMS = 100;

export interface MergePart {
  /** The feed's canonical URL. */
  url: string;
  open: OpenFeed;
}

export interface MergeOptions {
  /** What the merged feed says of itself. */
  title: string;
  description: string;
  link: string;
  image: string | undefined;
  /** Where it is found. */
  self: string;
  /** The newest first, those without a date last; or these episodes in this order, those left out that are not there. */
  order: 'newest' | readonly { feed: string; item: string }[];
  limit?: number;
  /** The play link of an item, which takes the place of its enclosure's URL; undefined leaves that as it is. */
  linkFor(feed: string, item: string): string | undefined;
  /** Titles or hosts of the feeds that could not be had: they are named in a comment. */
  unavailable: readonly string[];
}

interface Chosen {
  part: MergePart;
  item: FeedItem;
}

/**
 * Several feeds as one of RSS 2.0, `[Podcast] Title` each item. Items keep what they say in other namespaces. A guid is made of the feed and
 * the item's identity alone, so that an app that knows the item still does when the publisher moves its file, or the token is another.
 * The same parts and options give the same text. Anybody who has it has the play links in it.
 */
export function mergeFeeds(parts: readonly MergePart[], options: MergeOptions): string {
  const chosen = choose(parts, options).map(({ part, item }) =>
    mergedItem(part.open, item, {
      title: titleOf(part.open.feed.title, item.title),
      guid: episodeId(part.url, itemOf(item)),
      enclosure: options.linkFor(part.url, itemOf(item)),
    }),
  );
  const namespaces = new Map(['atom', 'itunes'].map((prefix) => [prefix, USUAL_NAMESPACES.get(prefix)!]));
  for (const [prefix, namespace] of chosen.flatMap((item) => [...item.namespaces]))
    if (!namespaces.has(prefix)) namespaces.set(prefix, namespace);
  return [
    '<?xml version="1.0" encoding="utf-8"?>',
    startTag('rss', { version: '2.0', ...declarations(namespaces) }),
    '<channel>',
    ...channel(options),
    ...chosen.map((item) => written(item, namespaces)),
    '</channel>',
    '</rss>',
    '',
  ].join('\n');
}

function choose(parts: readonly MergePart[], { order, limit = MERGED_MAX_ITEMS }: MergeOptions): Chosen[] {
  const byUrl = new Map(parts.map((part) => [part.url, part]));
  if (order === 'newest')
    return [...byUrl.values()]
      .flatMap((part) => newestFirst(part.open).map((item) => ({ part, item })))
      .sort((a, b) => byDate(a.item, b.item))
      .slice(0, limit);
  // The enclosure may be another by now: the episode is the same.
  const episodes = new Map<string, ReadonlyMap<string, FeedItem>>();
  const episodesOf = ({ url, open }: MergePart) => {
    const made =
      episodes.get(url) ?? new Map(distinctEpisodes(open.items).map((item) => [episodeKey(itemOf(item)), item]));
    episodes.set(url, made);
    return made;
  };
  return order
    .flatMap(({ feed, item }) => {
      const part = byUrl.get(feed);
      const found = part && episodesOf(part).get(episodeKey(item));
      return found ? [{ part, item: found }] : [];
    })
    .slice(0, limit);
}

/** Longest title of an item, in characters. */
const TITLE_MAX_LENGTH = 1_024;

const titleOf = (podcast: string | null, title: string | null): string =>
  [podcast && `[${podcast}]`, title].filter(Boolean).join(' ').slice(0, TITLE_MAX_LENGTH);

function channel({ title, description, link, image, self, unavailable }: MergeOptions): string[] {
  const away = [...new Set(unavailable.map(speakable))].sort();
  return [
    ...(away.length > 0 ? [`<!-- Not to be had just now: ${commentText(away.join(', '))} -->`] : []),
    element('title', title),
    element('link', link),
    element('description', description),
    element('atom:link', '', { rel: 'self', type: 'application/rss+xml', href: self }),
    ...(image === undefined
      ? []
      : [
          `<image>${element('url', image)}${element('title', title)}${element('link', link)}</image>`,
          element('itunes:image', '', { href: image }),
        ]),
    // It is one listener's: no directory is to list it.
    element('itunes:block', 'Yes'),
  ];
}

/** Longest name of a feed in a comment, in characters. */
const NAME_MAX_LENGTH = 200;

/** A name, and of a URL in it no more than the host: the rest may be a secret. */
const speakable = (name: string): string =>
  name.slice(0, NAME_MAX_LENGTH).replace(/[a-z][a-z\d+.-]*:\/\/(?:[^\s/?#]*@)?([^\s/?#]*)\S*/gi, '$1');

function written({ attributes, content, namespaces }: MergedItem, declared: ReadonlyMap<string, string>): string {
  const others = [...namespaces].filter(([prefix, namespace]) => declared.get(prefix) !== namespace);
  return `${startTag('item', { ...declarations(others), ...attributes })}${content}</item>`;
}

const declarations = (namespaces: Iterable<[string, string]>): Record<string, string> =>
  Object.fromEntries([...namespaces].map(([prefix, namespace]) => [`xmlns:${prefix}`, namespace]));
