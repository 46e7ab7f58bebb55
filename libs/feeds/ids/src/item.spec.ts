import fc from 'fast-check';
import { encodeBase64, episodeId, episodeKey, ITEM_MAX_BYTES, itemKey, parseItem, splitItem } from './ids';

describe('an item, <guid>,<enclosure>', () => {
  it.each([
    ['abc,https://cdn.example/a.mp3', 'abc', 'https://cdn.example/a.mp3', 'a guid and an enclosure'],
    ['a,b,c,https://cdn.example/a.mp3', 'a,b,c', 'https://cdn.example/a.mp3', 'commas in the guid'],
    ['abc,https://cdn.example/a,b,c.mp3', 'abc', 'https://cdn.example/a,b,c.mp3', 'commas in the enclosure'],
    [
      'abc,http://a.example/x,http://b.example/y',
      'abc',
      'http://a.example/x,http://b.example/y',
      'the first split wins',
    ],
    [
      'https://a.example/1,https://cdn.example/a.mp3',
      'https://a.example/1',
      'https://cdn.example/a.mp3',
      'a URL as guid',
    ],
    [',https://cdn.example/a.mp3', '', 'https://cdn.example/a.mp3', 'no guid'],
    ['abc,', 'abc', '', 'no enclosure'],
    ['abc', 'abc', '', 'no enclosure and no comma'],
    ['a,b,', 'a,b', '', 'commas and no enclosure'],
    ['abc,,https://cdn.example/a.mp3', 'abc,', 'https://cdn.example/a.mp3', 'a guid that ends in a comma'],
    ['abc,HTTPS://cdn.example/a.mp3', 'abc', 'HTTPS://cdn.example/a.mp3', 'a scheme in upper case'],
    ['abc,ftp://cdn.example/a.mp3', 'abc,ftp://cdn.example/a.mp3', '', 'another scheme belongs to the guid'],
    ['abc,httpsx', 'abc,httpsx', '', 'no scheme belongs to the guid'],
  ])('%j is %j and %j: %s', (item, guid, enclosure) => expect(splitItem(item)).toEqual({ guid, enclosure }));

  it('is split where it was joined, whatever the halves hold', () => {
    const guid = fc.string().filter((text) => !/,https?:\/\//i.test(text));
    const enclosure = fc.oneof(
      fc.constant(''),
      fc.webUrl(),
      fc.string().map((tail) => `https://cdn.example/${tail}`),
    );
    fc.assert(
      fc.property(guid, enclosure, (guid, enclosure) =>
        expect(splitItem(`${guid},${enclosure}`)).toEqual({ guid, enclosure }),
      ),
    );
  });

  it('is the same episode wherever the publisher moves the file', () => {
    expect(episodeKey('abc,https://old.example/a.mp3')).toBe(episodeKey('abc,https://new.example/a.mp3'));
    expect(episodeKey('abc,')).toBe(episodeKey('abc,https://new.example/a.mp3'));
  });

  it('is known by its enclosure where there is no guid, and by nothing else', () => {
    expect(episodeKey(',https://cdn.example/a.mp3')).not.toBe(episodeKey(',https://cdn.example/b.mp3'));
    expect(episodeKey(',https://cdn.example/a.mp3')).not.toBe(episodeKey('https://cdn.example/a.mp3,'));
  });

  it('is an episode of its feed: the same guid elsewhere is another', () => {
    expect(episodeId('https://a.example', 'abc,')).not.toBe(episodeId('https://b.example', 'abc,'));
    expect(episodeId('https://a.example', 'abc,')).toBe(
      episodeId('https://a.example', 'abc,https://cdn.example/a.mp3'),
    );
  });

  it('has a key that tables can hold, and that will never change', () => {
    expect(episodeId('https://feeds.example/a', 'abc,https://cdn.example/a.mp3')).toBe(
      '94c177ab-1591-dd0f-0197-b34c667fa8c4',
    );
  });

  it('has a key of its own, the same in every feed, that will never change', () => {
    for (const item of ['abc,', 'abc,https://cdn.example/a.mp3'])
      expect(itemKey(item)).toBe('f39d39bf-c992-87b8-4878-0d4110eb663f');
  });
});

describe('an item of the wire', () => {
  const parse = (item: string) => parseItem(encodeBase64(item));

  it('is trimmed and otherwise as sent', () => {
    expect(parse(' A b,https://CDN.example/a.mp3#t=1 \n')).toBe('A b,https://CDN.example/a.mp3#t=1');
  });

  it.each([
    ['', 'nothing'],
    [',', 'neither guid nor enclosure'],
    ['a\u0000b,', 'NUL'],
    ['a\nb,', 'a line break inside'],
    ['a'.repeat(ITEM_MAX_BYTES + 1), 'too many bytes'],
    ['ÿ'.repeat(ITEM_MAX_BYTES / 2 + 1), 'too many bytes in fewer characters'],
  ])('refuses %j: %s', (item) => {
    expect(() => parse(item)).toThrow(expect.objectContaining({ code: 'invalid_item' }));
  });

  it('fits a path segment of 4,096 characters in base64', () => {
    const longest = 'a'.repeat(ITEM_MAX_BYTES);
    expect(parse(longest)).toBe(longest);
    expect(encodeBase64(longest).length).toBeLessThanOrEqual(4_096);
  });
});
