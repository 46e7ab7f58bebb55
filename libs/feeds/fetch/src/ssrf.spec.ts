import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { LookupAddress } from 'node:dns';
import { Socket } from 'node:net';
import { isPublic, Lookup } from './addresses';
import { FetchFailed } from './fetch-failed';
import { createFetcher, FeedFetcher, FetcherOptions } from './fetch-feed';
import { Origin, startOrigin } from './testing';

/** An address of the public internet; no test dials it. */
const PUBLIC = '93.184.216.34';
/** Where tests let redirects begin. */
const ALLOWED = 'origin.test';

const addresses = (...all: string[]): LookupAddress[] =>
  all.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

/** Answers each name from a table, its answers one after another, the last one again and again. */
function names(table: Record<string, LookupAddress[][]>): Lookup & { asked: string[] } {
  const asked: string[] = [];
  const lookup: Lookup = (hostname, _options, callback) => {
    asked.push(hostname);
    const answers = table[hostname];
    const answer = answers && (answers.length > 1 ? answers.shift() : answers[0]);
    if (answer) callback(null, answer);
    else callback(Object.assign(new Error(`ENOTFOUND ${hostname}`), { code: 'ENOTFOUND' }), []);
  };
  return Object.assign(lookup, { asked });
}

const codeOf = async (asked: Promise<unknown>): Promise<string> => {
  const error: unknown = await asked.then(
    () => new Error('it was fetched'),
    (reason: unknown) => reason,
  );
  return error instanceof FetchFailed ? error.code : String(error);
};

it.each(['93.184.216.34', '172.32.0.1', '100.128.0.1', '192.169.0.1', '2606:2800:220:1::1', '::ffff:93.184.216.34'])(
  'takes %s for public',
  (address) => expect(isPublic(address)).toBe(true),
);

describe('what reaches out', () => {
  /** What must not be reached: something inside, listening where it would be dialled. */
  let inside: Origin;
  let redirect = '';
  let origin: Origin;
  let fetchers: FeedFetcher[];
  let sockets: Socket[];
  const onSocket = (message: unknown): void => void sockets.push((message as { socket: Socket }).socket);

  beforeAll(async () => {
    inside = await startOrigin((_request, response) => response.end('<rss><channel/></rss>'));
    origin = await startOrigin(({ url }, response) => {
      const rest = /^\/again\/(.*)/.exec(url!)?.[1];
      response.writeHead(302, { location: rest === undefined ? redirect : `/${rest}` }).end();
    });
  });
  afterAll(async () => {
    await Promise.all([inside.close(), origin.close()]);
  });
  beforeEach(() => {
    fetchers = [];
    sockets = [];
    subscribe('net.client.socket', onSocket);
  });
  afterEach(async () => {
    unsubscribe('net.client.socket', onSocket);
    for (const each of fetchers) await each.close();
    // Whatever was tried.
    expect(inside.connections()).toBe(0);
  });

  /** As in production, but for one more port, on which the inside listens. */
  const fetcher = (options: FetcherOptions = {}): FeedFetcher => {
    fetchers.push(createFetcher({ ...options, limits: { ports: [80, 443, inside.port] } }));
    return fetchers.at(-1)!;
  };

  describe('refuses an address', () => {
    it.each([
      ['IPv4 loopback', '127.0.0.1'],
      ['all of 127/8', '127.255.255.254'],
      ['short IPv4', '127.1'],
      ['IPv4 of three parts', '127.0.1'],
      ['decimal', '2130706433'],
      ['hexadecimal', '0x7f000001'],
      ['hexadecimal parts', '0x7f.0x0.0x0.0x1'],
      ['short hexadecimal', '0x7f.1'],
      ['octal', '017700000001'],
      ['octal parts', '0177.0.0.01'],
      ['mixed radices', '0x7f.0.1'],
      ['a dot at its end', '127.0.0.1.'],
      ['full-width digits', '１２７.０.０.１'],
      ['ideographic full stops', '127。0。0。1'],
      ['percent escapes', '%31%32%37.0.0.1'],
      ['zero', '0'],
      ['unspecified', '0.0.0.0'],
      ['private 10/8', '10.0.0.1'],
      ['private 172.16/12', '172.31.255.255'],
      ['private 192.168/16', '192.168.1.1'],
      ['carrier-grade NAT', '100.64.0.1'],
      ['metadata of Alibaba', '100.100.100.200'],
      ['link-local metadata', '169.254.169.254'],
      ['link-local metadata in decimal', '2852039166'],
      ["a container's metadata", '169.254.170.2'],
      ['metadata of Oracle', '192.0.0.192'],
      ['the platform of Azure', '168.63.129.16'],
      ['multicast', '224.0.0.1'],
      ['multicast of SSDP', '239.255.255.250'],
      ['broadcast', '255.255.255.255'],
      ['reserved', '240.0.0.1'],
      ['benchmarking', '198.18.0.1'],
      ['documentation', '192.0.2.1'],
      ['6to4 relay', '192.88.99.1'],
      ['IPv6 loopback', '[::1]'],
      ['IPv6 loopback written out', '[0:0:0:0:0:0:0:1]'],
      ['IPv6 unspecified', '[::]'],
      ['mapped IPv4', '[::ffff:127.0.0.1]'],
      ['mapped IPv4 in hexadecimal', '[::ffff:7f00:1]'],
      ['mapped metadata', '[::ffff:a9fe:a9fe]'],
      ['compatible IPv4', '[::127.0.0.1]'],
      ['compatible metadata', '[::a9fe:a9fe]'],
      ['IPv6 that is given to nobody', '[4000::1]'],
      ['translated IPv4', '[::ffff:0:127.0.0.1]'],
      ['NAT64', '[64:ff9b::127.0.0.1]'],
      ['NAT64 of a public address', '[64:ff9b::5db8:d822]'],
      ['local NAT64', '[64:ff9b:1::7f00:1]'],
      ['6to4', '[2002:7f00:1::]'],
      ['Teredo', '[2001:0:4136:e378:8000:63bf:3fff:fdd2]'],
      ['IPv6 link-local', '[fe80::1]'],
      ['IPv6 site-local', '[fec0::1]'],
      ['unique local', '[fc00::1]'],
      ['unique local metadata', '[fd00:ec2::254]'],
      ['IPv6 multicast', '[ff02::1]'],
      ['IPv6 documentation', '[2001:db8::1]'],
      ['IPv6 discard', '[100::1]'],
      ['behind userinfo', 'public.example@127.0.0.1'],
      ['behind userinfo with a password', 'public.example:80@[::1]'],
    ])('%s: %s', async (_name, host) => {
      expect(await codeOf(fetcher().fetch(`http://${host}:${inside.port}/feed.xml`))).toBe('address_not_allowed');
      expect(await codeOf(fetcher().fetch(`https://${host}/feed.xml`))).toBe('address_not_allowed');
      // Not even begun.
      expect(sockets).toEqual([]);
    });
  });

  describe('refuses a name', () => {
    it.each([
      ['of loopback', ['127.0.0.1']],
      ['of IPv6 loopback', ['::1']],
      ['of mapped loopback', ['::ffff:127.0.0.1']],
      ['of a private network', ['10.1.2.3']],
      ['of metadata', ['169.254.169.254']],
      ['of link-local IPv6', ['fe80::1%lo']],
      ['of unique local IPv6', ['fd00::1']],
      ['of carrier-grade NAT', ['100.64.1.1']],
      ['of NAT64', ['64:ff9b::a00:1']],
      ['of all addresses', ['0.0.0.0']],
      ['of multicast', ['224.0.0.251']],
      ['of a public address and a private one', [PUBLIC, '127.0.0.1']],
      ['of a private address and a public one', ['127.0.0.1', PUBLIC]],
      ['of two families, one of them private', [PUBLIC, '::1']],
      ['of no address', []],
      ['of what is no address', ['somewhere']],
    ])('%s', async (_name, found) => {
      const lookup = names({ 'feeds.test': [addresses(...found)] });
      for (const scheme of ['http', 'https'])
        expect(await codeOf(fetcher({ lookup }).fetch(`${scheme}://feeds.test:${inside.port}/`))).toBe(
          'address_not_allowed',
        );
      expect(lookup.asked).toEqual(['feeds.test', 'feeds.test']);
    });

    it('that the system knows as its own', async () => {
      expect(await codeOf(fetcher().fetch(`http://localhost:${inside.port}/`))).toBe('address_not_allowed');
      expect(await codeOf(fetcher().fetch(`http://LOCALHOST.:${inside.port}/`))).toMatch(
        /^(address_not_allowed|name_not_found)$/,
      );
    });

    it('that nobody knows', async () => {
      expect(await codeOf(fetcher({ lookup: names({}) }).fetch('http://feeds.test/'))).toBe('name_not_found');
    });
  });

  it('dials the answer that it checked, though the next one would be another', async () => {
    const lookup = names({ 'rebind.test': [addresses(PUBLIC), addresses('127.0.0.1')] });
    const dialled: string[] = [];
    const beforeDialling = (message: unknown): void => {
      const { socket } = message as { socket: Socket };
      socket.on('lookup', (_error, address: string) => {
        dialled.push(address);
        socket.destroy(new Error('far enough'));
      });
    };
    subscribe('net.client.socket', beforeDialling);
    try {
      expect(await codeOf(fetcher({ lookup }).fetch(`http://rebind.test:${inside.port}/`))).toBe('not_reachable');
    } finally {
      unsubscribe('net.client.socket', beforeDialling);
    }
    expect(dialled).toEqual([PUBLIC]);
    expect(lookup.asked).toEqual(['rebind.test']);
    // The answer of the second dial is checked like the first.
    expect(await codeOf(fetcher({ lookup }).fetch(`http://rebind.test:${inside.port}/`))).toBe('address_not_allowed');
  });

  describe('refuses', () => {
    it.each([
      ['a file', 'file:///etc/passwd', 'scheme_not_allowed'],
      ['FTP', 'ftp://feeds.test/feed.xml', 'scheme_not_allowed'],
      ['Gopher', 'gopher://feeds.test:80/_GET', 'scheme_not_allowed'],
      ['data', 'data:text/xml,<rss/>', 'scheme_not_allowed'],
      ['a script', 'javascript:alert(1)', 'scheme_not_allowed'],
      ['a socket of the system', 'unix:/var/run/docker.sock', 'scheme_not_allowed'],
      ['SSH', 'http://feeds.test:22/', 'port_not_allowed'],
      ['SMTP', 'http://feeds.test:25/', 'port_not_allowed'],
      ['Redis', 'http://feeds.test:6379/', 'port_not_allowed'],
      ['a high port', 'https://feeds.test:8443/', 'port_not_allowed'],
      ['port 0', 'http://feeds.test:0/', 'port_not_allowed'],
    ])('%s: %s', async (_name, url, code) => {
      const lookup = names({ 'feeds.test': [addresses(PUBLIC)] });
      expect(await codeOf(fetcher({ lookup }).fetch(url))).toBe(code);
      expect([sockets, lookup.asked]).toEqual([[], []]);
    });
  });

  describe('follows no redirect', () => {
    it.each([
      ['to loopback', 'http://127.0.0.1:PORT/', 'address_not_allowed'],
      ['to decimal loopback', 'http://2130706433:PORT/', 'address_not_allowed'],
      ['to octal loopback', 'http://0177.1:PORT/', 'address_not_allowed'],
      ['to hexadecimal loopback', '//0x7f000001:PORT/', 'address_not_allowed'],
      ['to IPv6 loopback', '//[::1]:PORT/', 'address_not_allowed'],
      ['to mapped loopback', 'http://[::ffff:127.0.0.1]:PORT/', 'address_not_allowed'],
      ['to NAT64', 'http://[64:ff9b::7f00:1]:PORT/', 'address_not_allowed'],
      ['to metadata', 'http://169.254.169.254/latest/meta-data/', 'address_not_allowed'],
      ['to a private network', 'https://10.0.0.1/', 'address_not_allowed'],
      ['to carrier-grade NAT', 'http://100.64.0.1/', 'address_not_allowed'],
      ['to unique local IPv6', 'http://[fd00::1]/', 'address_not_allowed'],
      ['to a private name', 'http://inside.test:PORT/', 'address_not_allowed'],
      ['to its own name on another port', `http://${ALLOWED}:PORT/`, 'address_not_allowed'],
      ['to its own address', 'http://127.0.0.1:OWN/', 'port_not_allowed'],
      ['with userinfo', 'http://public.example@127.0.0.1:PORT/', 'address_not_allowed'],
      ['to a file', 'file:///etc/passwd', 'scheme_not_allowed'],
      ['to Gopher', 'gopher://127.0.0.1:PORT/', 'scheme_not_allowed'],
      ['to FTP', 'ftp://feeds.test/', 'scheme_not_allowed'],
      ['to data', 'data:text/xml,<rss/>', 'scheme_not_allowed'],
      ['to another port', 'http://feeds.test:22/', 'port_not_allowed'],
      ['to nowhere', 'http://[', 'bad_redirect'],
    ])('%s: %s', async (_name, location, code) => {
      redirect = location.replace('PORT', String(inside.port)).replace('OWN', String(origin.port));
      const lookup = names({
        [ALLOWED]: [addresses('127.0.0.1')],
        'inside.test': [addresses('127.0.0.1')],
        'feeds.test': [addresses(PUBLIC)],
      });
      const allowing = fetcher({ lookup, allowPrivate: [`${ALLOWED}:${origin.port}`] });
      for (const path of ['', 'again/again/']) {
        const before = origin.requests.length;
        expect(await codeOf(allowing.fetch(`http://${ALLOWED}:${origin.port}/${path}`))).toBe(code);
        expect(origin.requests.length - before).toBe(path === '' ? 1 : 3);
      }
    });
  });

  describe('lets through exactly the private hosts that it is told', () => {
    const ask = async (allowPrivate: string[], url: string): Promise<string> =>
      codeOf(fetcher({ allowPrivate, lookup: names({ 'a.test': [addresses('10.0.0.1')] }) }).fetch(url));

    it.each([
      ['another port', ['127.0.0.1:1'], 'address_not_allowed'],
      ['another address', ['127.0.0.2:PORT'], 'address_not_allowed'],
      ['another name of it', ['localhost:PORT'], 'address_not_allowed'],
      ['the port of another scheme', ['127.0.0.1:80', '127.0.0.1:443'], 'address_not_allowed'],
      ['nothing', [], 'address_not_allowed'],
    ])('not for %s', async (_name, allowed, code) => {
      const list = allowed.map((each) => each.replace('PORT', String(inside.port)));
      expect(await ask(list, `http://127.0.0.1:${inside.port}/`)).toBe(code);
    });

    it.each(['127.0.0.1:PORT', '2130706433:PORT', '127.1:PORT'])('however they are written: %s', async (entry) => {
      redirect = '/';
      const list = [entry.replace('PORT', String(origin.port))];
      expect(await ask(list, `http://127.0.0.1:${origin.port}/`)).toBe('too_many_redirects');
      expect(await ask(list, `http://0x7f.1:${origin.port}/`)).toBe('too_many_redirects');
    });
  });
});
