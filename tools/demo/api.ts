import { setTimeout as pause } from 'node:timers/promises';

/** A request that takes longer than this is given up, in milliseconds. */
const REQUEST_LIMIT_MS = 60_000;
/** How often a request is sent when the system asks to come back later (429, 503). */
const ATTEMPTS = 5;
/** Waited before coming back when the system does not say how long, in seconds. */
const RETRY_AFTER_S = 1;

/** What ends the demo; its message is for whoever runs it. */
export class DemoFailed extends Error {}

/** The system's HTTP API, as anybody outside sees it. */
export class Api {
  constructor(
    readonly url: string,
    private readonly token?: string,
  ) {}

  as(token: string): Api {
    return new Api(this.url, token);
  }

  /** The body of a successful answer. @throws DemoFailed for any other */
  async send<Body>(method: string, path: string, body?: unknown): Promise<Body> {
    for (let attempt = 1; ; attempt += 1) {
      const response = await this.request(method, path, body);
      const text = await response.text();
      if (response.ok) return JSON.parse(text);
      const later = response.status === 429 || response.status === 503;
      if (!later || attempt === ATTEMPTS) throw new DemoFailed(`${method} ${path}: ${response.status} ${text}`);
      await pause(1_000 * (Number(response.headers.get('retry-after')) || RETRY_AFTER_S));
    }
  }

  private async request(method: string, path: string, body: unknown): Promise<Response> {
    const headers: Record<string, string> = {};
    if (this.token) headers['authorization'] = `Bearer ${this.token}`;
    if (body !== undefined) headers['content-type'] = 'application/json';
    try {
      return await fetch(`${this.url}/api/v1${path}`, {
        method,
        headers,
        body: body === undefined ? undefined : JSON.stringify(body),
        signal: AbortSignal.timeout(REQUEST_LIMIT_MS),
      });
    } catch (error) {
      const reason = error instanceof Error ? ((error.cause as Error | undefined)?.message ?? error.message) : error;
      throw new DemoFailed(
        `nothing answers at ${this.url} (${reason}): is the system running? \`npm start\` starts one`,
      );
    }
  }
}
