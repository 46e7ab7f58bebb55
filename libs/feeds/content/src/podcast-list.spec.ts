import { LIST_MAX, listFile, podcastList } from './podcast-list';
import { readOpml } from './read-opml';

const known = {
  url: 'https://feeds.example/a?b=1&c=2',
  title: 'Bread & "Butter" <live>',
  author: 'Ada',
  logo: 'https://media.example/a.png',
};
const unknown = { url: 'https://feeds.example/b', title: null, author: null, logo: null };
/** All that mygpoclient and gPodder want of a podcast. */
const WANTED = [
  ...['url', 'title', 'description', 'website', 'subscribers', 'subscribers_last_week', 'mygpo_link', 'logo_url'],
];

it('has in JSON all that apps want, and nothing made up', () => {
  const { type, body } = podcastList('json', 'Top', [known, unknown]);
  expect(type).toBe('application/json; charset=utf-8');
  const [first, second] = JSON.parse(body) as [Record<string, unknown>, Record<string, unknown>];
  for (const each of [first, second]) expect(Object.keys(each)).toEqual(expect.arrayContaining(WANTED));
  expect(first).toMatchObject({ url: known.url, title: known.title, author: 'Ada', logo_url: known.logo });
  expect(second).toEqual({
    url: unknown.url,
    title: unknown.url,
    author: '',
    description: '',
    website: '',
    subscribers: 0,
    subscribers_last_week: 0,
    mygpo_link: '',
    logo_url: null,
  });
});

it('has titles and addresses in OPML, and a line each in text', () => {
  const { type, body } = podcastList('opml', 'Top', [known, unknown]);
  expect(type).toMatch(/^text\/x-opml/);
  expect(readOpml(Buffer.from(body)).map(({ url, title }) => [url, title])).toEqual([
    [known.url, known.title],
    [unknown.url, unknown.url],
  ]);
  expect(podcastList('txt', 'Top', [known, unknown])).toEqual({
    type: 'text/plain; charset=utf-8',
    body: `${known.url}\n${unknown.url}\n`,
  });
  expect(podcastList('txt', 'Top', []).body).toBe('');
});

it.each([
  '0.json',
  `${LIST_MAX + 1}.json`,
  '-1.json',
  '1.5.json',
  '10.xml',
  '10',
  'json',
  '.json',
  '1e1.json',
  ' 1.json',
])('is not asked for by %p', (text) => {
  expect(listFile.safeParse(text).success).toBe(false);
});

it('is asked for by a number and a format', () => {
  expect(listFile.parse('1.json')).toEqual({ count: 1, format: 'json' });
  expect(listFile.parse(`${LIST_MAX}.opml`)).toEqual({ count: LIST_MAX, format: 'opml' });
});
