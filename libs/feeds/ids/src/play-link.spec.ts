import { createSecretKey, randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { encodeBase64, encodeBase64Url, ITEM_MAX_BYTES } from './ids';
import { linkKeys } from './link-keys';
import { extensionOf, isSigned, locationOf, playLink, readPlayLink } from './play-link';

const BASE = 'https://play.example';
const key = createSecretKey(Buffer.alloc(32, 1));
const olderKey = createSecretKey(Buffer.alloc(32, 2));
const token = 'T'.repeat(43);
const feed = 'https://feeds.example/show.xml';
const item = 'guid-1,https://media.example/1.mp3';
const [feedId, itemId] = [encodeBase64Url(feed), encodeBase64Url(item)];

const pathOf = (link: string | undefined): string => link!.slice(BASE.length);
const signed = pathOf(playLink(BASE, { token, feed, item }, key));
const signature = signed.split('/')[1]!.split('.')[1]!;

describe('a play link', () => {
  it('will never change, since it stands in the memory of players', () => {
    expect(playLink(`${BASE}/`, { token, feed, item }, key)).toBe(
      `${BASE}/${token}.itj8Ci9QhUDax2qAAixUPg/${feedId}/${itemId}.mp3`,
    );
  });

  it.each([
    [signed, true, 'as made'],
    [signed.replace('.mp3', ''), true, 'without its extension'],
    [signed.replace('.mp3', '.m4a'), true, 'with another extension'],
    [`${signed}?utm_source=app#t=10`, true, 'with a query'],
    [signed.replace(itemId, encodeURIComponent(encodeBase64(item))), true, 'in the other alphabet, escaped'],
    [signed.replace(feedId, encodeBase64(feed)), true, 'with padding'],
    [`/${token}/${feedId}/${itemId}.mp3`, false, 'without a signature'],
    [`/${token}/${feedId}/${itemId}`, false, 'without signature and extension'],
    [signed.replace(signature, 'A'.repeat(22)), false, 'another signature'],
    [signed.replace(signature, 'short'), false, 'what cannot be a signature'],
    [signed.replace(token, `U${token.slice(1)}`), false, 'another token'],
  ])('%j is one, signed by us: %j (%s)', (path, isOurs) => {
    const link = readPlayLink(path);
    expect(link).toMatchObject({ feed, item });
    expect(isSigned(link!, [key])).toBe(isOurs);
  });

  it.each([
    ['', 'nothing'],
    ['/', 'the root'],
    ['/favicon.ico', 'one segment'],
    [`/${token}/${feedId}`, 'two segments'],
    [`/${token}/${feedId}/${itemId}.mp3/x`, 'four segments'],
    [`//${feedId}/${itemId}.mp3`, 'no token'],
    [`/${token}//${itemId}.mp3`, 'no feed'],
    [`/${token}/${feedId}/.mp3`, 'no item'],
    [`/${token}.a.b/${feedId}/${itemId}.mp3`, 'two signatures'],
    [`/${token}/${feedId}/${itemId}.mp3.mp3`, 'two extensions'],
    [`/${token}/${feedId}.xml/${itemId}.mp3`, 'an extension of the feed'],
    [`/${token}/${feedId}/${itemId}.mp3%0d%0aSet-Cookie:a=b`, 'a line end in the extension'],
    [`/${token}/${feedId}/%`, 'a broken escape'],
    [`/${token}/${feedId}/${itemId.slice(0, -1)}%253D`, 'escaped twice'],
    [`/${token}/${encodeBase64Url('ftp://feeds.example/show.xml')}/${itemId}`, 'a feed of another scheme'],
    [`/${token}/${encodeBase64Url('javascript:alert(1)')}/${itemId}`, 'a feed that is a script'],
    [
      `/${token}/${feedId}/${encodeBase64Url('guid,https://media.example/\r\nSet-Cookie: a=b')}`,
      'a line end in the item',
    ],
    [`/${token}/${feedId}/${encodeBase64Url('g'.repeat(ITEM_MAX_BYTES + 1))}`, 'an item that is too long'],
    [`/${token}/not*base64/${itemId}`, 'no base64'],
    [`/${token}/${feedId}/_w`, 'no UTF-8'],
  ])('%j is none: %s', (path) => expect(readPlayLink(path)).toBeUndefined());

  it.each([
    ['guid-1,', 'without an enclosure'],
    ['guid-1,http://', 'with an enclosure that is no URL'],
    ['a\nb,https://media.example/1.mp3', 'with a line end'],
    [`${'g'.repeat(ITEM_MAX_BYTES)},https://media.example/1.mp3`, 'that is too long'],
  ])('is not made for an item %s', (impossible) =>
    expect(playLink(BASE, { token, feed, item: impossible }, key)).toBeUndefined(),
  );

  it('is not made for what is no feed', () =>
    expect(playLink(BASE, { token, feed: 'feeds.example', item }, key)).toBeUndefined());

  const urls = fc.webUrl({ withQueryParameters: true, withFragments: false, validSchemes: ['http', 'https'] });
  const targets = fc.record({
    token: fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => Buffer.from(bytes).toString('base64url')),
    feed: urls.map((url) => url.replace(/^https?:\/\/[^/]*/, (origin) => origin.toLowerCase())),
    item: fc
      .tuple(
        fc.string({ unit: 'grapheme' }).filter((guid) => !/[\p{Cc}]|,https?:/u.test(guid)),
        urls,
      )
      .map(([guid, enclosure]) => `${guid},${enclosure}`.trim()),
  });

  it('says what it was made of, and every key that we have knows it', () => {
    fc.assert(
      fc.property(targets, (target) => {
        const link = readPlayLink(pathOf(playLink(BASE, target, olderKey)));
        expect(link).toMatchObject(target);
        expect(isSigned(link!, [key, olderKey])).toBe(true);
        expect(isSigned(link!, [key])).toBe(false);
        expect(isSigned(link!, [])).toBe(false);
      }),
    );
  });

  it('is not signed any more when one part is taken from another link', () => {
    fc.assert(
      fc.property(targets, targets, fc.constantFrom('token', 'feed', 'item'), (target, other, part) => {
        fc.pre(target[part] !== other[part]);
        const link = readPlayLink(pathOf(playLink(BASE, target, key)))!;
        expect(isSigned({ ...link, [part]: other[part] }, [key])).toBe(false);
      }),
    );
  });

  it('is not signed any more when one character of its signature is another', () => {
    const character = fc.constantFrom(...'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');
    fc.assert(
      fc.property(targets, fc.nat(21), character, (target, at, other) => {
        const link = readPlayLink(pathOf(playLink(BASE, target, key)))!;
        const sent = link.signature!;
        fc.pre(sent[at] !== other);
        expect(isSigned({ ...link, signature: sent.slice(0, at) + other + sent.slice(at + 1) }, [key])).toBe(false);
      }),
    );
  });
});

it.each([
  ['https://media.example/1.mp3', 'https://media.example/1.mp3', 'as published'],
  ['HTTP://media.example/a%2fb?c=%20#t=1', 'HTTP://media.example/a%2fb?c=%20#t=1', 'with its escapes'],
  ['https://media.example/ü 1.mp3', 'https://media.example/%C3%BC%201.mp3', 'what no header has is escaped'],
  ['https://bücher.example/1.mp3', 'https://xn--bcher-kva.example/1.mp3', 'a host of another script'],
  ['https://', undefined, 'no host'],
  ['javascript:alert(1)', undefined, 'a script'],
  ['//media.example/1.mp3', undefined, 'without a scheme'],
  ['', undefined, 'nothing'],
])('%j leads to %j: %s', (enclosure, location, _why) => expect(locationOf(enclosure)).toBe(location));

it('leads to what stands in one line of visible ASCII, whatever was published', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (tail) => {
      expect(locationOf(`https://media.example/${tail}`) ?? 'x').toMatch(/^[\x21-\x7e]+$/);
    }),
  );
});

it.each([
  ['https://media.example/1.mp3', '.mp3'],
  ['https://media.example/1.MP3?a=b.ogg#c', '.mp3'],
  ['https://trace.example/redirect.mp3/media.example/1.m4a', '.m4a'],
  ['https://media.example/1.mp3/', ''],
  ['https://media.example/play?file=1.mp3', ''],
  ['https://media.example/1.php', ''],
  ['https://media.example', ''],
  ['', ''],
])('%j ends in %j', (enclosure, extension) => expect(extensionOf(enclosure)).toBe(extension));

describe('LINK_KEYS', () => {
  const random = (bytes: number): string => randomBytes(bytes).toString('base64url');

  it('are keys in their order', () => {
    const [first, second] = [random(32), random(64)];
    const keys = linkKeys.parse(`${first}, ${second}`).map((each) => each.export().toString('base64url'));
    expect(keys).toEqual([first, second]);
  });

  it.each([
    ['', 'nothing'],
    [random(31), 'too short a key'],
    [`${random(32)},`, 'an empty key'],
    [`${random(32)},${random(16)}`, 'too short a second key'],
    ['not base64 at all, but rather a long sentence', 'no base64'],
  ])('are not %j: %s', (text) => expect(linkKeys.safeParse(text).success).toBe(false));
});
