import { createIsbotFromList, isbotPatterns, list } from 'isbot';
import { LRUCache } from 'lru-cache';

/** Names of players are remembered, bots or not; there are far fewer. */
export const USER_AGENTS_KEPT = 5_000;
/** Of a longer name only so many characters are looked at. */
export const USER_AGENT_LENGTH = 512;

/**
 * Players, and what they fetch with. To isbot whatever does not call itself a browser is a bot: the patterns that match one of
 * these are left out, and those that know bots by their names stay.
 */
const PLAYERS = [
  'AntennaPod/3.4.0',
  'BeyondPod',
  'Castbox/8 (https://castbox.fm)',
  'FreshRSS/1.24 (Linux; https://freshrss.org)',
  'gPodder/3.11.4 (http://gpodder.org/) Linux',
  'Kodi/20',
  'NetNewsWire (RSS Reader; https://netnewswire.com/)',
  'okhttp/4.9',
  'Overcast/3.0 (+http://overcast.fm/; iOS podcast app)',
  'Pocket Casts/7',
  'PodcastAddict/v5 (+https://podcastaddict.com/; Android podcast app)',
  'Feedly/1.0',
  // Those on Electron.
  'node',
];
const ofPlayers = new Set(PLAYERS.flatMap((player) => isbotPatterns(player)));
const namesBot = createIsbotFromList(list.filter((pattern) => !ofPlayers.has(pattern)));

const known = new LRUCache<string, boolean>({ max: USER_AGENTS_KEPT });

/** Who says nothing is none: small players do not. */
export function isBot(userAgent: string | undefined): boolean {
  if (!userAgent) return false;
  const name = userAgent.slice(0, USER_AGENT_LENGTH);
  let answer = known.get(name);
  if (answer === undefined) known.set(name, (answer = namesBot(name)));
  return answer;
}

/** The first range in bytes (RFC 9110, 14.1.1). */
const FIRST_RANGE = /^\s*bytes\s*=\s*(\d*)\s*-\s*(\d*)\s*(?:,|$)/i;

/** Whether the episode is begun: of its bytes the first are asked for, and more than the one by which servers are tried; `0-1` is how some players begin. */
export function beginsAtStart(range: string | undefined): boolean {
  // What is no range is not heard by servers either: all is sent.
  const [, first, last] = FIRST_RANGE.exec(range ?? '') ?? [];
  if (first === undefined || (first === '' && last === '')) return true;
  if (first === '' || Number(first) !== 0) return false;
  return last === '' || Number(last) >= 1;
}

/** Whether a request is a play: somebody's, of the episode's beginning. */
export const isPlay = (method: string, headers: { range?: string; 'user-agent'?: string }): boolean =>
  method === 'GET' && beginsAtStart(headers.range) && !isBot(headers['user-agent']);
