import { Problem } from '@balados/platform-service';
import { readBoth } from './wire';

const FEED = 'https://feeds.example/show.xml';
const WRITTEN = 'HTTPS://Feeds.Example:443/show.xml';

it('one address is not added and removed at once', () =>
  expect(() => readBoth({ add: ['https://a.example/', WRITTEN], remove: [WRITTEN] })).toThrow(Problem));

it.each([
  [WRITTEN, FEED],
  [FEED, WRITTEN],
])('an app that writes %s in place of %s ends nothing: it would send that again for ever', (add, remove) => {
  const [added, removed] = readBoth({ add: [add], remove: [remove, 'https://b.example/'] });
  expect(added.feeds).toEqual([[add, FEED]]);
  expect(removed.feeds).toEqual([['https://b.example/', 'https://b.example/']]);
});
