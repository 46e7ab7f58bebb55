import { streamOf } from '@balados/event-sourcing';
import { splitItem } from '@balados/feeds-ids';
import { EpisodeActionName, UsersEvent } from '@balados/users-contracts';
import type { Request } from 'autocannon';
import { FEEDS, feedUrl, itemOf } from './events';
import { send } from './http';
import { Listener } from './listeners';
import { Filling } from './raw-client';

// Podcast apps by gPodder's protocol, in the shape that other servers of it are measured in.

export const APP_SUBSCRIPTIONS = 50;
/** Each episode was downloaded, begun, heard to its end and deleted. */
export const APP_EPISODES = 500;
export const APP_ACTIONS = 4 * APP_EPISODES;
/** Of one upload, each of another episode; and what that says: of each the report and the position. */
export const UPLOADED = 30;
export const EVENTS_OF_UPLOAD = 2 * UPLOADED;

/** A listener's app, with a password of its own. */
export interface App {
  username: string;
  authorization: string;
  /** Which of the listeners: they share podcasts, and begin with different ones. */
  nth: number;
}

/** What apps ask for, from the first moment of this second on (Unix). */
export interface Asking {
  asks: 'subscriptions' | 'actions' | 'upload';
  since: number;
}

export async function createApps(base: string, listeners: readonly Listener[]): Promise<App[]> {
  const apps: App[] = [];
  for (const [nth, listener] of listeners.entries()) {
    const made = await send(base, listener, 'POST', '/tokens', JSON.stringify({ name: 'bench', kind: 'app' }));
    const { token } = JSON.parse(made.toString()) as { token: string };
    const username = `bench-${listener.userId}`;
    apps.push({ username, authorization: `Basic ${Buffer.from(`${username}:${token}`).toString('base64')}`, nth });
  }
  return apps;
}

const EPISODES_PER_FEED = APP_EPISODES / APP_SUBSCRIPTIONS;
const feedOf = (app: number, n: number): number => (app * 7 + n) % FEEDS;
const episodeOf = (app: number, n: number): { feed: string; item: string } => {
  const feed = feedOf(app, Math.floor(n / EPISODES_PER_FEED));
  return { feed: feedUrl(feed), item: itemOf(feed, n % EPISODES_PER_FEED) };
};

const LENGTH = 1_800;

/** All that these listeners did so far, as the events that command-api makes of it. @param at when, and when we heard of it (RFC 3339) */
export function* histories(listeners: readonly Listener[], at: string): Generator<Filling> {
  for (const [nth, { userId }] of listeners.entries()) {
    const subscribed = Array.from({ length: APP_SUBSCRIPTIONS }, (_, n): UsersEvent => {
      const data = { feed: feedUrl(feedOf(nth, n)), sourceId: null, subscribedAt: at, unsubscribedAt: null };
      return { type: 'PodcastSubscribed', data };
    });
    yield { stream: streamOf('subscriptions', userId), events: subscribed, recordedAt: at };
    const heard = Array.from({ length: APP_EPISODES }, (_, n) => lifeOf(episodeOf(nth, n), at));
    yield { stream: streamOf('listening', userId), events: heard.flat(), recordedAt: at };
  }
}

function lifeOf(episode: { feed: string; item: string }, at: string): UsersEvent[] {
  const told = (action: EpisodeActionName, position: number | null): UsersEvent => {
    const [started, total] = position === null ? [null, null] : [0, LENGTH];
    return {
      type: 'EpisodeActionReported',
      data: { ...episode, action, device: 'phone', at, started, position, total },
    };
  };
  const stands = (position: number) => ({ ...episode, position, played: position === LENGTH, updatedAt: at });
  return [
    told('download', null),
    told('play', LENGTH / 2),
    { type: 'PlayRecorded', data: stands(LENGTH / 2) },
    told('play', LENGTH),
    { type: 'PositionUpdated', data: stands(LENGTH) },
    told('delete', null),
  ];
}

/** Where in a listener's stream the last event stands that the site's projector reads. */
export const LAST_LISTEN = APP_EPISODES * 6 - 4;

/** One connection's requests: for its apps in turn. An upload says something new each time. */
export function appRequest(apps: readonly App[], { asks, since }: Asking, fail: (reason: string) => void): Request {
  let sent = -1;
  return {
    setupRequest: (request) => {
      sent += 1;
      return { ...request, ...written(apps[sent % apps.length]!, { asks, since }) };
    },
    onResponse: (status, body) => {
      const found = body.split(asks === 'subscriptions' ? '"https://' : '"podcast":').length - 1;
      const expected = { subscriptions: APP_SUBSCRIPTIONS, actions: UPLOADED, upload: 0 }[asks];
      if (status !== 200 || found !== expected) fail(`${asks}: ${status} with ${found}: ${body.slice(0, 500)}`);
    },
  };
}

/** A request as an app writes it. */
export function written({ username, authorization, nth }: App, { asks, since }: Asking) {
  const headers = { authorization };
  if (asks === 'subscriptions') return { method: 'GET', path: `/subscriptions/${username}/phone.json`, headers };
  const path = `/api/2/episodes/${username}.json`;
  if (asks === 'actions') return { method: 'GET', path: `${path}?since=${since}`, headers };
  const now = Date.now();
  const timestamp = new Date(now).toISOString().slice(0, 19);
  // Further each time, also within one second.
  const position = now - since * 1_000;
  const actions = Array.from({ length: UPLOADED }, (_, n) => {
    const { feed, item } = episodeOf(nth, n);
    const { guid, enclosure } = splitItem(item);
    const place = { started: 0, position, total: position + LENGTH };
    return { podcast: feed, episode: enclosure, guid, device: 'phone', action: 'play', timestamp, ...place };
  });
  return {
    method: 'POST',
    path,
    headers: { ...headers, 'content-type': 'application/json' },
    body: JSON.stringify(actions),
  };
}
