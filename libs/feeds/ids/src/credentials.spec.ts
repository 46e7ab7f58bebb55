import { hasCredentials } from './ids';

describe('a URL that carries a credential is never public', () => {
  it.each([
    ['https://user:secret@feeds.example/a', 'userinfo'],
    ['https://user@feeds.example/a', 'a user alone'],
    ['https://:secret@feeds.example/a', 'a password alone'],
    ['https://feeds.example/a?token=1', 'token'],
    ['https://feeds.example/a?b=1&TOKEN=1', 'upper case'],
    ['https://feeds.example/a?tokens=1', 'several'],
    ['https://feeds.example/a?token', 'a key without a value'],
    ['https://feeds.example/a?%74oken=1', 'an escaped key'],
    ['https://feeds.example/a?auth=1', 'auth'],
    ['https://feeds.example/a?key=1', 'key'],
    ['https://feeds.example/a?key2=1', 'a numbered key'],
    ['https://feeds.example/a?apikey=1', 'apikey'],
    ['https://feeds.example/a?api_key=1', 'api_key'],
    ['https://feeds.example/a?APIKey=1', 'APIKey'],
    ['https://feeds.example/a?accessToken=1', 'two words'],
    ['https://feeds.example/a?accesstoken=1', 'two words run together'],
    ['https://feeds.example/a?authtoken=1', 'two words run together'],
    ['https://feeds.example/a?client_secret=1', 'secret'],
    ['https://feeds.example/a?clientsecret=1', 'two words run together'],
    ['https://feeds.example/a?sig=1', 'sig'],
    ['https://feeds.example/a?signature=1', 'signature'],
    ['https://feeds.example/a?X-Amz-Signature=1', 'signed links of a store'],
    ['https://feeds.example/a?Policy=1&Key-Pair-Id=1', 'signed links of a network'],
    ['https://feeds.example/a?userpassword=1', 'password'],
    ['https://feeds.example/a?PHPSESSID=1', 'a session'],
    ['https://feeds.example/a?user[token]=1', 'brackets'],
    ['https://feeds.example/a?a=1;token=1', 'semicolons'],
    ['https://feeds.example/a?jwt=1', 'jwt'],
    ['https://feeds.example/a#access_token=1', 'a token in the fragment'],
    ['https://feeds.example/a?accesskey=1', 'two words run together'],
    ['https://feeds.example/a?userkey=1', 'two words run together'],
    ['https://feeds.example/a?sessionid=1', 'a session'],
    ['https://feeds.example/a;jsessionid=1', 'a session in the path'],
    ['https://feeds.example/a?oauth=1', 'oauth'],
    ['https://feeds.example/a?authcode=1', 'two words run together'],
    ['https://feeds.example/a?url=https%3A%2F%2Fuser%3Asecret%40feeds.example%2F', 'userinfo of a URL that is a value'],
    ['https://feeds.example/a?url=https%3A%2F%2Ffeeds.example%2F%3Ftoken%3D1', 'a key of a URL that is a value'],
    ['https://proxy.example/https://user:secret@feeds.example/a', 'userinfo of a URL within the path'],
    ['https://proxy.example/user:secret@feeds.example/a.mp3', 'userinfo within the path'],
    ['not a URL', 'what cannot be judged'],
    ['episodes/1.mp3', 'a relative URL, which cannot be judged'],
  ])('%s: %s', (url) => expect(hasCredentials(url)).toBe(true));

  it.each([
    ['', 'no enclosure'],
    ['https://feeds.example/a', 'no query'],
    ['https://feeds.example/a?', 'an empty query'],
    ['https://feeds.example/token/a', 'a word of the path'],
    ['https://feeds.example/a@b', 'an @ of the path'],
    ['https://feeds.example/a?id=token', 'a word of a value'],
    ['https://feeds.example/a?format=xml&page=2', 'other keys'],
    ['https://feeds.example/a?author=1', 'a longer word'],
    ['https://feeds.example/a?keyword=1', 'a longer word'],
    ['https://feeds.example/a?monkey=1', 'a longer word'],
    ['https://feeds.example/a?design=1', 'a longer word'],
    ['https://feeds.example/a?authority=1', 'a longer word'],
    ['https://feeds.example/a?url=https%3A%2F%2Ffeeds.example%2Fb%3Fpage%3D2', 'a URL that is a value'],
    ['https://proxy.example/https://feeds.example/@a/b:c', 'a URL within the path'],
    ['https://feeds.example/a?utm_source=1', 'where a listener came from'],
    ['https://feeds.example/a#t=90', 'another fragment'],
  ])('%s does not: %s', (url) => expect(hasCredentials(url)).toBe(false));
});

it('says the same of a URL however many were seen before', () => {
  for (let seen = 0; seen < 100_000; seen += 1) hasCredentials(`https://feeds.example/${seen}`);
  expect(hasCredentials('https://bücher.example/a')).toBe(false);
});
