import { lookup as systemLookup } from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { isIP, LookupFunction } from 'node:net';
import * as ipaddr from 'ipaddr.js';
import { buildConnector } from 'undici';
import { FetchFailed } from './fetch-failed';
import { CONNECT_TIMEOUT_MS } from './limits';

/** Finds all addresses of a name, as `dns.lookup` does. */
export type Lookup = (
  hostname: string,
  options: { all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void;

/** Public by its number, and yet answered by the cloud that we may run in. */
const OF_PLATFORMS = ['168.63.129.16'];
/** All that IANA has given out of IPv6. Outside are old spellings of IPv4, `::7f00:1`, which pass for unicast. */
const GLOBAL_IPV6 = ipaddr.IPv6.parseCIDR('2000::/3');

/** Whether an address is one of the public internet; IPv4 within IPv6 counts as what it leads to. */
export function isPublic(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  if (parsed.range() !== 'unicast' || OF_PLATFORMS.includes(parsed.toString())) return false;
  return parsed instanceof ipaddr.IPv4 || parsed.match(GLOBAL_IPV6);
}

const refused = (): FetchFailed => new FetchFailed('address_not_allowed', 'The address is not a public one.');

/**
 * Names are looked up once, when they are dialled, and what was checked is dialled: there is no second answer to change in between.
 * A name with one address that is not public is refused with all its others.
 */
const checked =
  (lookup: Lookup): LookupFunction =>
  (hostname, options, callback) =>
    lookup(hostname, { all: true }, (error, addresses) => {
      if (error) return callback(error, '', 0);
      const [first] = addresses;
      if (!first || !addresses.every(({ address }) => isPublic(address))) return callback(refused(), '', 0);
      if (options.all) callback(null, addresses);
      else callback(null, first.address, first.family);
    });

/** `host:port` of a URL as the list of allowed ones has it. */
export const hostAndPort = ({ hostname, port, protocol }: URL): string =>
  `${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`;

/** Dials public addresses, and of others those of the `allowed` hosts with their ports. */
export function connector(allowed: ReadonlySet<string>, lookup: Lookup = systemLookup): buildConnector.connector {
  const timeout = CONNECT_TIMEOUT_MS;
  const any = buildConnector({ timeout, lookup: lookup as LookupFunction });
  const publicOnly = buildConnector({ timeout, lookup: checked(lookup) });
  return (options, callback) => {
    const { hostname, protocol, host } = options;
    if (allowed.has(hostAndPort(new URL(`${protocol}//${host}`)))) return any(options, callback);
    // What is an address already is never looked up.
    if (isIP(hostname) && !isPublic(hostname)) return callback(refused(), null);
    publicOnly(options, callback);
  };
}
