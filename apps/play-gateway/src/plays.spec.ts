import { beginsAtStart, isBot, isPlay } from './plays';

it.each([
  [undefined, true],
  ['bytes=0-', true],
  ['bytes=0-1', true],
  ['bytes=0-65535', true],
  ['Bytes = 0 - ', true],
  ['bytes=0-99,200-299', true],
  ['bytes=0-0', false],
  ['bytes=1-', false],
  ['bytes=1-1', false],
  ['bytes=100-200', false],
  ['bytes=100-101,0-', false],
  ['bytes=-500', false],
  // No range: all is sent.
  ['bytes=', true],
  ['bytes=-', true],
  ['bytes=a-b', true],
  ['seconds=10-', true],
])('a range of %j begins at the start: %j', (range, begins) => expect(beginsAtStart(range)).toBe(begins));

it.each([
  'AntennaPod/3.4.0',
  'AppleCoreMedia/1.0.0.21G93 (iPhone; U; CPU OS 17_6 like Mac OS X; en_us)',
  'Castro 2023.1/1',
  'Dalvik/2.1.0 (Linux; U; Android 9)',
  'ExoPlayerLib/2.19',
  'foobar2000/1.6',
  'GStreamer souphttpsrc 1.20 libsoup/2.74',
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36',
  'mpv 0.35',
  'Overcast/3.0 (+http://overcast.fm/; iOS podcast app)',
  'Podcasts/1600.2 CFNetwork/1490 Darwin/23.6',
  'Pocket Casts',
  'VLC/3.0.20 LibVLC/3.0.20',
  'some small player',
])('%s is no bot', (userAgent) => expect(isBot(userAgent)).toBe(false));

it.each([
  'AhrefsBot/7',
  'Amazonbot/0.1',
  'curl/8.1',
  'facebookexternalhit/1.1',
  'GPTBot/1.0',
  'Googlebot/2.1 (+http://www.google.com/bot.html)',
  'Mozilla/5.0 (compatible; bingbot/2.0; +http://www.bing.com/bingbot.htm)',
  'Mozilla/5.0 (compatible; Baiduspider/2.0; +http://www.baidu.com/search/spider.html)',
  'Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)',
  'TelegramBot (like TwitterBot)',
  'UptimeRobot/2.0',
  'Wget/1.21',
])('%s is a bot', (userAgent) => expect(isBot(userAgent)).toBe(true));

it('is a play when somebody gets an episode from its start', () => {
  expect(isPlay('GET', {})).toBe(true);
  expect(isPlay('HEAD', {})).toBe(false);
  expect(isPlay('GET', { range: 'bytes=1000-' })).toBe(false);
  expect(isPlay('GET', { 'user-agent': 'Googlebot/2.1' })).toBe(false);
});
