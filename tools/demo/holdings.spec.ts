import { encodeBase64, encodeBase64Url } from '@balados/feeds-ids';
import { differences, Holdings, Play, Subscription } from './holdings';

const FEED = 'https://feeds.example/a';
const play = (item: string, more: Partial<Play> = {}): Play => ({
  rss_source_feed: encodeBase64(FEED),
  rss_source_item: encodeBase64(item),
  position: 1,
  played: false,
  updated_at: '2026-01-01T00:00:00.000Z',
  ...more,
});
const subscription: Subscription = {
  rss_source_feed: encodeBase64(FEED),
  rss_source_id: null,
  subscribed_at: '2026-01-01T00:00:00.000Z',
  unsubscribed_at: null,
};
const holding = (...plays: Play[]) => {
  const holdings = new Holdings();
  holdings.take({ subscriptions: [subscription], play_statuses: plays });
  return holdings;
};

describe('what a device holds', () => {
  it('is each episode once, as last heard, wherever its file is', () => {
    const held = holding(play('g,https://a.example/1'), play('g,https://b.example/1', { position: 2 }), play('h,'));
    expect([...held.plays.values()].map(({ position }) => position)).toEqual([2, 1]);
    expect(held.subscriptions.size).toBe(1);
  });

  it('is the same on two devices whatever the order, of entries and of fields', () => {
    const { updated_at, ...rest } = play('g,');
    const reordered = { updated_at, ...rest };
    expect(differences(holding(play('g,'), play('h,')), holding(play('h,'), reordered))).toEqual([]);
  });

  it('is told apart by episode and by value', () => {
    const [one, other] = [holding(play('g,'), play('h,')), holding(play('g,', { position: 2 }))];
    expect(differences(one, other)).toEqual([
      expect.stringMatching(/^https:\/\/feeds.example\/a g: .*"position":1.* is not .*"position":2/),
      expect.stringMatching(/^https:\/\/feeds.example\/a h: .* is not nothing$/),
    ]);
    expect(differences(other, one)).toHaveLength(2);
  });

  it('is found under either alphabet', () => {
    const item = '??>,https://a.example/1';
    const held = holding(play(item), play(item, { rss_source_item: encodeBase64Url(item), position: 3 }));
    expect(held.plays.size).toBe(1);
  });
});
