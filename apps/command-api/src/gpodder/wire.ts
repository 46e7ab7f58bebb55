import { isUtf8 } from 'node:buffer';
import { canonicalFeed, InvalidId } from '@balados/feeds-ids';
import { Problem, parseJson } from '@balados/platform-service';
import { plainText, SYNC_LIST_MAX, TEXT_MAX_LENGTH } from '@balados/users-contracts';
import { z } from 'zod';

/** What was received so long before a device last asked is told again, in seconds: copies' clocks differ, and a write takes its time. */
export const OVERLAP_SECONDS = 60;

const plainName = plainText(TEXT_MAX_LENGTH).min(1);

/** A part of a path that ends in a format, such as `phone.json`. */
export const named = (...formats: readonly [string, ...string[]]) =>
  z.string().transform((text, context) => {
    const [, name, format] = /^(.+)\.([a-z]+)$/s.exec(text) ?? [];
    if (plainName.safeParse(name).success && formats.includes(format!)) return { name: name!, format: format! };
    context.addIssue({
      code: 'custom',
      message: `is no name of at most ${TEXT_MAX_LENGTH} characters with .${formats.join(' or .')}`,
    });
    return z.NEVER;
  });

/** Unix seconds, whole or not → epoch milliseconds from which on to tell, with the overlap; 0 for all. */
export const since = z
  .string()
  .regex(/^-?\d{1,15}(?:\.\d{1,9})?$/, 'is no number of seconds')
  .default('0')
  .transform((text) => Math.max(0, (Math.floor(Number(text)) - OVERLAP_SECONDS) * 1_000));

/** Now, as these apps count: whole Unix seconds. */
export const secondsNow = (): number => Math.floor(Date.now() / 1_000);

/** The JSON of a body, whatever it was called. @throws Problem 400 */
export function jsonOf<Schema extends z.ZodType>(body: unknown, schema: Schema): z.infer<Schema> {
  const parsed = schema.safeParse(Buffer.isBuffer(body) ? parseJson(body) : undefined);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  throw new Problem(400, 'malformed', `The body is not of its form: ${[...path, message].join(': ')}`);
}

/** The text of a body. @throws Problem 400 */
export function textOf(body: unknown): string {
  if (!Buffer.isBuffer(body)) return '';
  if (!isUtf8(body)) throw new Problem(400, 'malformed', 'The body is not UTF-8.');
  return body.toString('utf8');
}

/** JSON may hold half a character, which nothing else can. */
export const isWellFormed = (text: string): boolean => (text as string & { isWellFormed(): boolean }).isWellFormed();

/** A feed's URL as apps write it → as we keep it; undefined for what is none. Names and passwords in it are the listener's own, and kept. */
export function feedOf(written: string): string | undefined {
  if (!isWellFormed(written)) return undefined;
  const text = written.trim().replace(/^(?:feed|itpc|pcast):(?:\/\/)?(?=https?:\/\/)/i, '');
  try {
    return canonicalFeed(text.replace(/^(?:feed|itpc|pcast):(?:\/\/)?/i, 'http://').replace(/\?(?=#|$)/, ''));
  } catch (error) {
    if (error instanceof InvalidId) return undefined;
    throw error;
  }
}

/** An address as an app wrote it, and its canonical form. */
export type Written = readonly [written: string, canonical: string];

/** Feeds as they were written; each that is none (''), or has another canonical form, is told to who wrote it. */
export function readFeeds(written: readonly string[]): { feeds: Written[]; changed: Written[] } {
  const feeds: Written[] = [];
  const changed: Written[] = [];
  for (const each of written) {
    const feed = feedOf(each);
    if (feed !== undefined) feeds.push([each, feed]);
    if (feed !== each) changed.push([each, feed ?? '']);
  }
  return { feeds, changed };
}

const urls = z.array(z.string()).max(SYNC_LIST_MAX).default([]);
/** Feeds that a device subscribed to and unsubscribed from. */
export const changes = z.object({ add: urls, remove: urls });

/**
 * Both lists as they are kept. Who removes what is added in another way of writing has only changed that, and removes nothing.
 * @throws Problem 400 for an address that is in both
 */
export function readBoth({ add, remove }: z.infer<typeof changes>) {
  const [added, removed] = [readFeeds(add), readFeeds(remove)];
  const written = new Map(added.feeds.map(([each, feed]) => [each, feed]));
  const twice = removed.feeds.find(([each]) => written.has(each));
  if (twice) throw new Problem(400, 'contradiction', `${twice[1]} is both to be added and to be removed.`);
  const kept = new Set(written.values());
  return [added, { ...removed, feeds: removed.feeds.filter(([, feed]) => !kept.has(feed)) }] as const;
}
