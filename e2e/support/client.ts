import { randomBytes } from 'node:crypto';
import { expectConformance } from './conformance';

export interface Answer {
  status: number;
  headers: Headers;
  // The tests say what they expect of a body by looking at it.
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  body: any;
}

/** Public answers are kept for a moment, by their address: each of ours is another one. */
let asked = 0;
const unkept = (url: string): string =>
  url.includes('/api/v1/public/') ? `${url}${url.includes('?') ? '&' : '?'}asked=${(asked += 1)}` : url;

/** One request; `body` is sent as JSON unless it is text already. @throws when the answer is not as the service documents it */
export async function request(
  url: string,
  {
    method = 'GET',
    body,
    token,
    headers = {},
  }: { method?: string; body?: unknown; token?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const response = await fetch(unkept(url), {
    method,
    headers: {
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    signal: AbortSignal.timeout(60_000),
  });
  const text = await response.text();
  const isJson = /json/.test(response.headers.get('content-type') ?? '');
  const answer = { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
  await expectConformance(url, method, answer);
  return answer;
}

export const base64 = (text: string): string => Buffer.from(text).toString('base64');
export const base64Url = (text: string): string => Buffer.from(text).toString('base64url');

const ofEpisode = (item: string, what: 'save' | 'share', feed: string | undefined): string =>
  `/episodes/${base64Url(item)}/${what}${feed ? `?feed=${base64Url(feed)}` : ''}`;

/** A listener's device, logged in. */
export class Device {
  constructor(
    readonly base: string,
    readonly userId: string,
    readonly token: string,
    readonly refreshToken: string,
  ) {}

  send(method: string, path: string, body?: unknown): Promise<Answer> {
    return request(`${this.base}/api/v1${path}`, { method, body, token: this.token });
  }
  get = (path: string): Promise<Answer> => this.send('GET', path);
  sync = (body: unknown): Promise<Answer> => this.send('POST', '/sync', body);
  subscribe = (feed: string): Promise<Answer> => this.send('POST', '/subscriptions', { rss_source_feed: base64(feed) });
  unsubscribe = (feed: string): Promise<Answer> => this.send('DELETE', `/subscriptions/${base64Url(feed)}`);
  play = (feed: string, item: string, position: number, played = false): Promise<Answer> =>
    this.send('POST', '/play', { rss_source_feed: base64(feed), rss_source_item: base64(item), position, played });
  position = (item: string, position: number, feed?: string): Promise<Answer> =>
    this.send('PUT', `/play/${base64Url(item)}/position${feed ? `?feed=${base64Url(feed)}` : ''}`, { position });
  save = (item: string, feed?: string): Promise<Answer> => this.send('POST', ofEpisode(item, 'save', feed));
  unsave = (item: string, feed?: string): Promise<Answer> => this.send('DELETE', ofEpisode(item, 'save', feed));
  share = (item: string, feed?: string): Promise<Answer> => this.send('POST', ofEpisode(item, 'share', feed));
}

export interface Credentials {
  username: string;
  password: string;
}

export async function register(base: string): Promise<Credentials> {
  const credentials = {
    username: `listener-${randomBytes(6).toString('hex')}`,
    password: randomBytes(12).toString('hex'),
  };
  const { status, body } = await request(`${base}/api/v1/accounts`, { method: 'POST', body: credentials });
  if (status !== 201) throw new Error(`no account: ${status} ${JSON.stringify(body)}`);
  return credentials;
}

export async function login(base: string, credentials: Credentials, device = 'phone'): Promise<Device> {
  const { status, body } = await request(`${base}/api/v1/auth/login`, {
    method: 'POST',
    body: { ...credentials, device_id: device, device_name: `the ${device}` },
  });
  if (status !== 200) throw new Error(`no login: ${status} ${JSON.stringify(body)}`);
  return new Device(base, body.user_id, body.access_token, body.refresh_token);
}

/** A new listener on one device. */
export const newListener = async (base: string): Promise<Device> => login(base, await register(base));
