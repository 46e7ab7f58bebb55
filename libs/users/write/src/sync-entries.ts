import { CLOCK_AHEAD_MAX_MS } from '@balados/users-contracts';
import { z } from 'zod';

/** An entry that could not be taken; the others were. */
export interface Rejected {
  path: string;
  code: string;
  message: string;
}

/** One entry cannot be taken. */
export class EntryRejected extends Error {
  constructor(
    readonly code: string,
    message: string,
  ) {
    super(message);
  }
}

/** Of what a listener erased an old device still holds a claim: it is not taken. */
export const erasedEntry = (path: string): Rejected => ({
  path,
  code: 'erased',
  message: 'the listener erased what was before a later date',
});

/** @throws EntryRejected for a time that is not between 1970 and CLOCK_AHEAD_MAX_MS from now */
export function shifted<Time extends number | null>(time: Time, shift: number, now: number): Time {
  if (time === null) return time;
  const at = time + shift;
  if (at < 0) throw new EntryRejected('invalid_time', 'a time is before 1970');
  if (at > now + CLOCK_AHEAD_MAX_MS) throw new EntryRejected('clock_ahead', 'a time is more than 24 hours ahead');
  return at as Time;
}

/** The claims of a list's good entries; each bad one is added to `rejected`. */
export function read<Schema extends z.ZodType, Claim>(
  list: string,
  entries: readonly unknown[] | undefined,
  schema: Schema,
  rejected: Rejected[],
  toClaim: (entry: z.infer<Schema>, path: string) => Claim,
): Claim[] {
  const claims: Claim[] = [];
  entries?.forEach((entry, index) => {
    const path = `${list}[${index}]`;
    const parsed = schema.safeParse(entry);
    if (!parsed.success) {
      const issue = parsed.error.issues[0]!;
      const at = issue.path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('');
      const code = issue.code === 'custom' ? String(issue.params?.['code'] ?? 'invalid') : 'invalid';
      rejected.push({ path: path + at, code, message: issue.message });
      return;
    }
    try {
      claims.push(toClaim(parsed.data, path));
    } catch (error) {
      if (!(error instanceof EntryRejected)) throw error;
      rejected.push({ path, code: error.code, message: error.message });
    }
  });
  return claims;
}
