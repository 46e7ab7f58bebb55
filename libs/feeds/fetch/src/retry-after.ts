import { RETRY_AFTER_MAX_MS } from './limits';

/** `Retry-After` (RFC 9110 §10.2.3), seconds or a date → milliseconds from `now`, at most RETRY_AFTER_MAX_MS; null when it says nothing usable. */
export function retryAfterMs(header: string | undefined, now: number): number | null {
  const text = header?.trim() ?? '';
  const wanted = /^\d+$/.test(text) ? Number(text) * 1_000 : Date.parse(text) - now;
  return wanted > 0 ? Math.min(wanted, RETRY_AFTER_MAX_MS) : null;
}
