import { encodeBase64, encodeBase64Url } from '@balados/feeds-ids';
import { PRIVACIES } from './events';
import { privacyBody, privacyQuery, wirePrivacy } from './wire-privacy';

const FEED = 'https://feeds.example/a?b=??>';
const ITEM = 'g, 1,https://cdn.example/1.mp3';

const flaws = (result: { success: boolean; error?: { issues: readonly { path: PropertyKey[]; code: string }[] } }) =>
  result.error?.issues.map((issue) => {
    const { params } = issue as { params?: { code: string } };
    return `${issue.path.join('.')} ${params?.code ?? issue.code}`;
  });

describe('a setting of privacy', () => {
  it.each(PRIVACIES)('may be %s, and is of the account when nothing else is named', (privacy) => {
    expect(privacyBody.parse({ privacy })).toEqual({ privacy, feed: null, item: null });
    expect(privacyBody.parse({ privacy, feed: null, item: null })).toEqual({ privacy, feed: null, item: null });
  });

  it.each([encodeBase64, encodeBase64Url])('names podcast and episode in either alphabet', (encode) => {
    const named = { feed: FEED, item: ITEM };
    const sent = { feed: encode(`${FEED}#top`), item: encode(ITEM) };
    expect(privacyBody.parse({ privacy: 'public', ...sent })).toEqual({ privacy: 'public', ...named });
    expect(privacyQuery.parse(sent)).toEqual(named);
  });

  it.each([
    [{}, 'privacy invalid_value'],
    [{ privacy: null }, 'privacy invalid_value'],
    [{ privacy: 'Public' }, 'privacy invalid_value'],
    [{ privacy: 1 }, 'privacy invalid_value'],
    [{ privacy: ['public'] }, 'privacy invalid_value'],
    [{ privacy: 'public', feed: '' }, 'feed invalid_feed'],
    [{ privacy: 'public', feed: '***' }, 'feed invalid_base64'],
    [{ privacy: 'public', item: encodeBase64(',') }, 'item invalid_item'],
    [{ privacy: 'public', rss_source_feed: encodeBase64(FEED) }, ' unrecognized_keys'],
  ])('is refused as %j', (body, flaw) => expect(flaws(privacyBody.safeParse(body))).toEqual([flaw]));

  it('asked for by a name that is none is not taken for the account', () => {
    expect(privacyQuery.parse({})).toEqual({});
    expect(flaws(privacyQuery.safeParse({ fed: encodeBase64(FEED) }))).toEqual([' unrecognized_keys']);
  });

  it('is answered as it may be sent back', () => {
    for (const setting of [
      { feed: null, item: null, privacy: 'public' as const },
      { feed: FEED, item: null, privacy: 'anonymous' as const },
      { feed: FEED, item: ITEM, privacy: 'private' as const },
    ])
      expect(privacyBody.parse(wirePrivacy(setting))).toEqual(setting);
    expect(wirePrivacy({ feed: FEED, item: null, privacy: null })).toEqual({
      feed: encodeBase64(FEED),
      item: null,
      privacy: null,
    });
  });
});
