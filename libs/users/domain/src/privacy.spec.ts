import { fold, given } from '@balados/event-sourcing/testing';
import { Privacy, PRIVACY_SETTINGS_KEPT_MAX, PRIVACY_SETTINGS_MAX, PrivacyEvent } from '@balados/users-contracts';
import { instant, rfc3339 } from './claims';
import { feedsWithPrivacy, findPrivacy, privacy, PrivacyCommand, PrivacyScope, standingPrivacy } from './privacy';

const FEED = 'https://feeds.example/show';
const OTHER = 'https://feeds.example/other';
const ITEM = 'guid,https://cdn.example/1.mp3';
const MOVED = 'guid,https://new.example/1.mp3';
const ACCOUNT: PrivacyScope = { feed: null, item: null };
const PODCAST: PrivacyScope = { feed: FEED, item: null };
const EPISODE: PrivacyScope = { feed: FEED, item: ITEM };
const at = (hour: number): number => instant(`2026-01-01T${String(hour).padStart(2, '0')}:00:00.000Z`);

const change = (scope: PrivacyScope, privacy: Privacy, now: number): PrivacyCommand => ({
  type: 'ChangePrivacy',
  data: { ...scope, privacy, now },
});
const reset = (scope: PrivacyScope, now: number): PrivacyCommand => ({
  type: 'ResetPrivacy',
  data: { ...scope, now },
});
const changed = (scope: PrivacyScope, privacy: Privacy, time: number): PrivacyEvent => ({
  type: 'PrivacyChanged',
  data: { ...scope, privacy, changedAt: rfc3339(time) },
});
const removed = (scope: PrivacyScope, time: number): PrivacyEvent => ({
  type: 'PrivacyReset',
  data: { ...scope, changedAt: rfc3339(time) },
});

describe.each<[string, PrivacyScope]>([
  ['the account', ACCOUNT],
  ['a podcast', PODCAST],
  ['an episode that was never played', EPISODE],
])('what the world sees of %s', (_, scope) => {
  it('is set', () =>
    given(privacy)
      .when(change(scope, 'private', at(1)))
      .then(changed(scope, 'private', at(1))));

  it('is set once, however often it is asked', () =>
    given(privacy, changed(scope, 'private', at(1)))
      .when(change(scope, 'private', at(2)))
      .thenNothing());

  it('is changed', () =>
    given(privacy, changed(scope, 'private', at(1)))
      .when(change(scope, 'anonymous', at(2)))
      .then(changed(scope, 'anonymous', at(2))));

  it('is left to the wider setting again, once', () => {
    given(privacy, changed(scope, 'private', at(1)))
      .when(reset(scope, at(2)))
      .then(removed(scope, at(2)));
    given(privacy, changed(scope, 'private', at(1)), removed(scope, at(2)))
      .when(reset(scope, at(3)))
      .thenNothing();
  });

  it('is left to the wider setting already when it was never set', () =>
    given(privacy)
      .when(reset(scope, at(1)))
      .thenNothing());

  it('is set again after that, also to what it was', () =>
    given(privacy, changed(scope, 'private', at(1)), removed(scope, at(2)))
      .when(change(scope, 'private', at(3)))
      .then(changed(scope, 'private', at(3))));

  it('is dated after what it replaces, also when our clock went back', () => {
    given(privacy, changed(scope, 'private', at(9)))
      .when(change(scope, 'public', at(3)))
      .then(changed(scope, 'public', at(9) + 1));
    given(privacy, changed(scope, 'private', at(9)))
      .when(reset(scope, at(3)))
      .then(removed(scope, at(9) + 1));
  });
});

describe('scopes', () => {
  it('stand beside each other: none sets or removes another', () => {
    given(privacy, changed(ACCOUNT, 'private', at(1)))
      .when(change(PODCAST, 'private', at(2)))
      .then(changed(PODCAST, 'private', at(2)));
    given(privacy, changed(PODCAST, 'private', at(1)))
      .when(change(EPISODE, 'private', at(2)))
      .then(changed(EPISODE, 'private', at(2)));
    given(privacy, changed(EPISODE, 'private', at(1)))
      .when(reset(PODCAST, at(2)))
      .thenNothing();
    given(privacy, changed(PODCAST, 'private', at(1)))
      .when(reset(ACCOUNT, at(2)))
      .thenNothing();
  });

  it('of an episode are one wherever its file is; the item is answered as last sent', () => {
    const moved = { ...EPISODE, item: MOVED };
    given(privacy, changed(EPISODE, 'private', at(1)))
      .when(change(moved, 'private', at(2)))
      .then(changed(moved, 'private', at(2)));
    given(privacy, changed(EPISODE, 'private', at(1)))
      .when(reset(moved, at(2)))
      .then(removed(moved, at(2)));
    const state = fold(privacy, [changed(EPISODE, 'private', at(1)), changed(moved, 'private', at(2))]);
    const held = { ...moved, privacy: 'private', changedAt: at(2), revision: 1 };
    expect(standingPrivacy(state)).toEqual([held]);
    expect(findPrivacy(state, EPISODE)).toEqual(held);
  });

  it('of the same guid in two podcasts are two', () =>
    given(privacy, changed(EPISODE, 'private', at(1)))
      .when(change({ ...EPISODE, feed: OTHER }, 'private', at(2)))
      .then(changed({ ...EPISODE, feed: OTHER }, 'private', at(2))));
});

it('an item that comes without its podcast is found where it has a setting, or had one', () => {
  const elsewhere = { feed: OTHER, item: MOVED };
  const state = fold(privacy, [
    changed(ACCOUNT, 'public', at(1)),
    changed({ feed: 'https://feeds.example/third', item: null }, 'public', at(1)),
    changed({ feed: FEED, item: 'another,' }, 'private', at(1)),
    changed(EPISODE, 'private', at(1)),
    changed(elsewhere, 'private', at(1)),
    removed(elsewhere, at(2)),
  ]);
  expect(feedsWithPrivacy(state, ITEM)).toEqual([FEED, OTHER]);
  expect(feedsWithPrivacy(state, 'unknown,')).toEqual([]);
});

describe('when as many settings stand as may', () => {
  const episode = (n: number): PrivacyScope => ({ feed: FEED, item: `${n},` });
  const full = Array.from({ length: PRIVACY_SETTINGS_MAX }, (_, n) => changed(episode(n), 'anonymous', at(1)));

  it('no other podcast or episode gets one, until one is removed', () => {
    given(privacy, ...full)
      .when(change(PODCAST, 'private', at(2)))
      .thenRefused('privacy_full');
    given(privacy, ...full)
      .when(change(EPISODE, 'private', at(2)))
      .thenRefused('privacy_full');
    given(privacy, ...full, removed(episode(7), at(2)))
      .when(change(EPISODE, 'private', at(3)))
      .then(changed(EPISODE, 'private', at(3)));
  });

  it('those that stand still change, and the account has its own', () => {
    given(privacy, ...full)
      .when(change(episode(7), 'private', at(2)))
      .then(changed(episode(7), 'private', at(2)));
    given(privacy, ...full)
      .when(change(ACCOUNT, 'private', at(2)))
      .then(changed(ACCOUNT, 'private', at(2)));
  });

  it('one that was removed is not set again', () =>
    given(privacy, changed(PODCAST, 'private', at(1)), removed(PODCAST, at(2)), ...full)
      .when(change(PODCAST, 'private', at(3)))
      .thenRefused('privacy_full'));

  it('nor is a new one when as many were removed as can be kept, while those may be set again', () => {
    const kept = Array.from({ length: PRIVACY_SETTINGS_KEPT_MAX }, (_, n) => n).flatMap((n) => [
      changed(episode(n), 'private', at(1)),
      removed(episode(n), at(2)),
    ]);
    const state = fold(privacy, kept);
    expect(() => privacy.decide(change(PODCAST, 'private', at(3)), state)).toThrow(`${PRIVACY_SETTINGS_KEPT_MAX}`);
    expect(privacy.decide(change(episode(7), 'private', at(3)), state)).toHaveLength(1);
    expect(privacy.decide(change(ACCOUNT, 'private', at(3)), state)).toHaveLength(1);
  });
});
