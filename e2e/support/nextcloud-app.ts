import { base64, Credentials } from './client';

/** What an app sends to Nextcloud's gpoddersync, and is answered. @throws for anything but 200, as apps do */
// The tests say what they expect of a body by looking at it.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type NextcloudApp = (path: string, sent?: object) => Promise<any>;

export const nextcloudApp =
  (base: string, { username, password }: Credentials): NextcloudApp =>
  async (path, sent) => {
    const answer = await fetch(`${base}/index.php/apps/gpoddersync/${path}`, {
      headers: { authorization: `Basic ${base64(`${username}:${password}`)}` },
      ...(sent && { method: 'POST', body: JSON.stringify(sent) }),
      signal: AbortSignal.timeout(60_000),
    });
    if (answer.status !== 200) throw new Error(`${path} is answered ${answer.status}: ${await answer.text()}`);
    return answer.json();
  };
