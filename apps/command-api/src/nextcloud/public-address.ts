import { Problem } from '@balados/platform-service';
import type { FastifyRequest } from 'fastify';

const HOST = /^(?:[\w.-]+|\[[\da-f:.]+\])(?::\d{1,5})?$/i;
/** What stands before Nextcloud's paths, however many slashes follow. */
const FOLDER = /^((?:\/+[\w.~%@+-]+)*)\/+index\.php\//;
const NEXTCLOUD_PATH =
  /\/index\.php\/(?:apps\/gpoddersync\/|login\/v2(?![^/]))|\/ocs\/v2\.php\/core\/apppassword(?![^/])/;

/** Nextcloud's clients put what they were told before its paths, with its slash, or a folder. What a query names is no path. */
export function withoutFolder(url: string): string {
  const [path = ''] = url.split('?', 1);
  return url.slice(Math.max(0, path.search(NEXTCLOUD_PATH)));
}

/**
 * How whoever asks has reached us, without a slash at its end, for what they are to ask next: PUBLIC_URL where there is one, else what the
 * request says, of which another host and protocol than its own are believed of a proxy in TRUSTED_PROXIES alone. It is told to nobody else.
 * @throws Problem 400 for a host that is none
 */
export function publicAddressOf(
  { protocol, host, originalUrl }: Pick<FastifyRequest, 'protocol' | 'host' | 'originalUrl'>,
  publicUrl: string | undefined,
): string {
  if (publicUrl !== undefined) return publicUrl;
  const origin = `${protocol === 'https' ? 'https' : 'http'}://${host}`;
  if (!HOST.test(host) || !URL.canParse(origin)) throw new Problem(400, 'malformed', 'The request names no host.');
  const [, folder = ''] = FOLDER.exec(originalUrl) ?? [];
  return `${new URL(origin).origin}${folder}`;
}
