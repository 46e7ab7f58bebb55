import { Check, readiness } from '@balados/platform-service';
import { z } from 'zod';

/** A service's answer to whether it is ready is waited for this long, in milliseconds: its own checks have two seconds. */
export const SERVICE_TIMEOUT_MS = 2_500;
/** Of an answer no more is read, in characters. */
const ANSWER_MAX = 65_536;

/** How a service is. What its checks say in words may name listeners or hosts, and stays where it is. */
export interface ServiceHealth {
  name: string;
  state: 'ready' | 'not ready' | 'no answer';
  /** Names of the checks that failed. */
  failing: string[];
}

/** What `/readyz` says, of a service alone and of standalone. */
const readyz = z.object({ ready: z.boolean(), checks: z.record(z.string(), z.string()) });

/** `name=http://host:port`, comma-separated, as pairs. */
export const servicesList = z.string().transform((text, context) =>
  text.split(',').map((part) => {
    const [name = '', url = '', ...more] = part.trim().split('=');
    if (!/^[\w-]{1,40}$/.test(name) || more.length > 0 || !/^https?:\/\/[^/?#@]+\/?$/.test(url) || !URL.canParse(url))
      context.addIssue({ code: 'custom', message: 'must be name=http://host:port, comma-separated' });
    return { name, url };
  }),
);

/** How this process itself is. */
export async function ownHealth(name: string, checks: Readonly<Record<string, Check>>): Promise<ServiceHealth> {
  return healthOf(name, await readiness(checks));
}

export async function askHealth({ name, url }: { name: string; url: string }): Promise<ServiceHealth> {
  try {
    const answer = await fetch(new URL('/readyz', url), {
      redirect: 'error',
      signal: AbortSignal.timeout(SERVICE_TIMEOUT_MS),
    });
    const text = await answer.text();
    return healthOf(name, readyz.parse(JSON.parse(text.slice(0, ANSWER_MAX))));
  } catch {
    return { name, state: 'no answer', failing: [] };
  }
}

const healthOf = (name: string, { ready, checks }: z.infer<typeof readyz>): ServiceHealth => ({
  name,
  state: ready ? 'ready' : 'not ready',
  failing: Object.keys(checks).filter((check) => checks[check] !== 'ok'),
});
