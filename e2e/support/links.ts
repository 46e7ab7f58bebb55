import { createSecretKey } from 'node:crypto';
import { Agent, request as httpRequest } from 'node:http';
import { playLink } from '@balados/feeds-ids';
import { LINK_KEY } from './system';

/** Path of a play link as the systems of tests sign it. */
export const signedPath = (token: string, feed: string, item: string): string =>
  playLink('', { token, feed, item }, createSecretKey(LINK_KEY))!;

export interface Followed {
  status: number;
  location: string | undefined;
}

/** Asks on the play host, whatever the address; `fetch` would follow the link. */
export function follow(
  base: string,
  path: string,
  {
    host = 'play.localhost:4000',
    agent,
    headers,
  }: { host?: string; agent?: Agent; headers?: Record<string, string> } = {},
): Promise<Followed> {
  return new Promise<Followed>((resolve, reject) => {
    const sent = httpRequest(base, { path, headers: { ...headers, host }, agent: agent ?? false }, (answer) => {
      answer.resume().once('end', () => resolve({ status: answer.statusCode!, location: answer.headers.location }));
      answer.once('error', reject);
    });
    sent.once('error', reject).end();
  });
}
