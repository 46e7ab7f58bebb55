import fc from 'fast-check';
import { canonicalFeed, encodeBase64, FEED_MAX_LENGTH, feedId, HOST_MAX_LENGTH, InvalidId, parseFeed } from './ids';

const ofLength = (length: number) => 'https://feeds.example/'.padEnd(length, 'a');

describe('the canonical URL of a feed', () => {
  it.each([
    ['https://feeds.example/show.xml', 'https://feeds.example/show.xml', 'is what it was'],
    ['  https://feeds.example/show.xml\r\n', 'https://feeds.example/show.xml', 'is trimmed'],
    [
      'HTTPS://Feeds.EXAMPLE/Show.XML',
      'https://feeds.example/Show.XML',
      'has scheme and host in lower case, not the path',
    ],
    ['http://feeds.example:80/a', 'http://feeds.example/a', 'has no default port'],
    ['https://feeds.example:443/a', 'https://feeds.example/a', 'has no default port'],
    ['https://feeds.example:0443/a', 'https://feeds.example/a', 'has no default port, however it is written'],
    ['https://feeds.example:/a', 'https://feeds.example/a', 'has no empty port'],
    ['http://feeds.example:443/a', 'http://feeds.example:443/a', 'keeps a port that is not the default one'],
    ['https://feeds.example:8443/a', 'https://feeds.example:8443/a', 'keeps a port that is not the default one'],
    ['https://feeds.example/a#top', 'https://feeds.example/a', 'has no fragment'],
    ['https://feeds.example/a?b=#c?d', 'https://feeds.example/a?b=', 'has no fragment, but its query'],
    ['https://feeds.example/a #top', 'https://feeds.example/a', 'has no blanks before what was its fragment'],
    ['https://feeds.example', 'https://feeds.example', 'has no slash added'],
    ['https://feeds.example?a', 'https://feeds.example?a', 'has no slash added before a query'],
    ['https://feeds.example/a//b/../c', 'https://feeds.example/a//b/../c', 'keeps its path as written'],
    ['https://feeds.example/%7Ea?b=%20+c', 'https://feeds.example/%7Ea?b=%20+c', 'keeps its escapes as written'],
    ['https://feeds.example/a b', 'https://feeds.example/a b', 'keeps a blank in its path'],
    ['https://feeds.example/a\\b', 'https://feeds.example/a\\b', 'keeps a backslash in its path'],
    ['https://feeds.example/a@B', 'https://feeds.example/a@B', 'takes an @ of the path for no userinfo'],
    ['https://User:Pa:ss@Feeds.Example/a', 'https://User:Pa:ss@feeds.example/a', 'keeps userinfo as written'],
    ['https://a@b@Feeds.Example/a', 'https://a@b@feeds.example/a', 'ends userinfo at the last @'],
    ['https://BÜCHER.example/a', 'https://bücher.example/a', 'has an international host in lower case'],
    ['https://XN--BCHER-KVA.example/a', 'https://xn--bcher-kva.example/a', 'has an encoded host in lower case'],
    ['http://[2001:DB8::1]:80/a', 'http://[2001:db8::1]/a', 'has an IPv6 host without its default port'],
    ['http://[::1]', 'http://[::1]', 'has an IPv6 host that ends in no port'],
    ['http://127.0.0.1:8080/a', 'http://127.0.0.1:8080/a', 'has an address as its host'],
  ])('%j → %j: %s', (written, canonical) => expect(canonicalFeed(written)).toBe(canonical));

  it.each([
    ['', 'nothing'],
    ['feeds.example/a', 'no scheme'],
    ['//feeds.example/a', 'no scheme'],
    ['ftp://feeds.example/a', 'another scheme'],
    ['javascript:alert(1)', 'another scheme'],
    ['itpc://feeds.example/a', 'another scheme'],
    ['http:feeds.example/a', 'no slashes'],
    ['http:/feeds.example/a', 'one slash'],
    ['http:\\\\feeds.example\\a', 'backslashes for slashes'],
    ['http://', 'no host'],
    ['http:///x', 'no host'],
    ['http://:80/x', 'a port and no host'],
    ['http://user@/x', 'userinfo and no host'],
    ['http://feeds.example\\@evil.example/', 'a backslash in the authority'],
    ['http://feeds example/a', 'a blank in the host'],
    ['http://us er@feeds.example/a', 'a blank in userinfo'],
    ['http://feeds.example:99999/a', 'a port that does not exist'],
    ['http://feeds.example:http/a', 'a port that is no number'],
    ['http://[::1/a', 'half an IPv6 host'],
    ['http://256.256.256.256/a', 'an address that does not exist'],
    ['http://feeds.example/a\u0000', 'NUL'],
    ['http://feeds.example/a\nb', 'a line break inside'],
    ['http://feeds.example/a\tb', 'a tab inside'],
    ['http://feeds.example/a\u007fb', 'DEL'],
    ['http://feeds.example/a\u0085b', 'a C1 control'],
    [ofLength(FEED_MAX_LENGTH + 1), 'one character too many'],
  ])('refuses %j: %s', (written) => {
    expect(() => canonicalFeed(written)).toThrow(expect.objectContaining({ code: 'invalid_feed' }));
  });

  it('is at most 2,048 characters long; what it does not keep is not counted', () => {
    expect(canonicalFeed(ofLength(FEED_MAX_LENGTH))).toHaveLength(2_048);
    expect(canonicalFeed(`  ${ofLength(FEED_MAX_LENGTH)}#a long fragment`)).toHaveLength(2_048);
  });

  it('is no question of how many were seen before', () => {
    // Node 20 and 22 check URLs by another path once they have seen many.
    for (let seen = 0; seen < 100_000; seen += 1) canonicalFeed(`https://feeds.example/${seen}`);
    expect(canonicalFeed('https://bücher.example/a')).toBe('https://bücher.example/a');
  });

  it('has a host that a name server could know', () => {
    const host = (length: number) => '.example'.padStart(length, 'a');
    expect(canonicalFeed(`https://user:secret@${host(253)}:65535/`)).toBe(`https://user:secret@${host(253)}:65535/`);
    expect(() => canonicalFeed(`https://${host(HOST_MAX_LENGTH + 1)}/`)).toThrow(InvalidId);
  });

  it('is refused at once when its host is a megabyte of other scripts', () => {
    const host = Array.from({ length: 300_000 }, (_, index) =>
      String.fromCodePoint(0x4e00 + ((index * 7_919) % 20_000)),
    );
    const started = performance.now();
    for (const slashes of ['//', '////', '//\\\\', '//@'])
      expect(() => canonicalFeed(`https:${slashes}${host.join('')}/`)).toThrow(InvalidId);
    // To be encoded it would take the square of its length.
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('is counted in lower case, where a few letters are longer', () => {
    const host = 'https://İ.example/';
    expect(() => canonicalFeed(host.padEnd(FEED_MAX_LENGTH, 'a'))).toThrow(InvalidId);
  });

  const part = (...likely: string[]) => fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...likely) }, fc.string());
  const url = fc
    .tuple(
      part('', ' ', '\n'),
      part('http://', 'https://', 'HTTP://'),
      part('', 'a@', 'a:B@', '@'),
      part('a.example', 'A.Example', '[::1]', '127.0.0.1', 'BÜCHER.example', 'ΑΣ.example', 'İ.example', 'K.example'),
      part('', ':', ':80', ':443', ':0080', ':8080'),
      part('', '/', '/A b', '?', '/a?b=C', '/ '),
      part('', '#', ' #x', '\u00a0#', '# '),
    )
    .map((parts) => parts.join(''));

  it('is its own canonical URL', () => {
    fc.assert(
      fc.property(url, (written) => {
        let canonical: string;
        try {
          canonical = canonicalFeed(written);
        } catch (error) {
          expect(error).toBeInstanceOf(InvalidId);
          return;
        }
        expect(canonicalFeed(canonical)).toBe(canonical);
      }),
      { numRuns: 2_000 },
    );
  });

  it('leads where the original led', () => {
    fc.assert(
      fc.property(url, (written) => {
        let canonical: string;
        try {
          canonical = canonicalFeed(written);
        } catch {
          return;
        }
        const fetched = written.replace(/#[^]*$/, '').trim();
        expect(new URL(canonical).href).toBe(new URL(fetched).href);
      }),
      { numRuns: 2_000 },
    );
  });

  it('is read from the base64 of the wire', () => {
    expect(parseFeed(encodeBase64(' HTTPS://Feeds.example:443/a#b '))).toBe('https://feeds.example/a');
    expect(() => parseFeed(encodeBase64('feeds.example'))).toThrow(expect.objectContaining({ code: 'invalid_feed' }));
  });

  it('has a key that tables can hold, and that will never change', () => {
    expect(feedId('https://feeds.example/a')).toBe('0e3221e7-4320-3d10-cdb5-22af5a607ce3');
  });
});
