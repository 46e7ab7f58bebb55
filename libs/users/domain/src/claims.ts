/**
 * A claim is what a device says of one thing, dated by the device. The newest stands, strictly; claims of the same date are settled
 * the same way everywhere, so that the order in which devices speak does not matter: a claim order is total, and merging takes the greatest.
 */

/** Compares by the given keys in turn: numbers by size, false before true, strings by code unit (the "canonical JSON" of last resort). */
export function compareBy<Claim>(...keys: ((claim: Claim) => number | boolean | string)[]) {
  return (left: Claim, right: Claim): number => {
    for (const key of keys) {
      const [a, b] = [key(left), key(right)];
      if (a !== b) return a < b ? -1 : 1;
    }
    return 0;
  };
}

/** A command without a time of its own is dated so that it beats what is stored: what a listener just did stands. */
export const dated = (now: number, stored: number | undefined): number =>
  stored === undefined ? now : Math.max(now, stored + 1);

/** Epoch milliseconds → RFC 3339 UTC. */
export const rfc3339 = (time: number): string => new Date(time).toISOString();
export const rfc3339OrNull = (time: number | null): string | null => (time === null ? null : rfc3339(time));
/** RFC 3339 → epoch milliseconds. */
export const instant = (time: string): number => Date.parse(time);
export const instantOrNull = (time: string | null): number | null => (time === null ? null : instant(time));

/** Days since 1970-01-01, UTC. */
export const utcDay = (time: number): number => Math.floor(time / 86_400_000);
