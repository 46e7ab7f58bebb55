/** Longest that we take anybody's word for, in seconds: as long as a position may be. */
const DURATION_MAX_S = 10_000_000;

const CLOCK = /^(?:(?:(\d{1,8}):)?(\d{1,8}):)?(\d{1,8}(?:\.\d{1,9})?)$/;
const ISO_8601 = /^P(?:(\d{1,8})D)?(?:T(?:(\d{1,8})H)?(?:(\d{1,8})M)?(?:(\d{1,8}(?:\.\d{1,9})?)S)?)?$/i;

/** `itunes:duration`: `H:MM:SS`, `MM:SS`, seconds, or ISO 8601's `PT1H2M` → seconds; null for what is none, and for 0, which says "unknown". */
export function parseDuration(text: string | undefined): number | null {
  if (!text) return null;
  const clock = CLOCK.exec(text);
  const [, days, hours, minutes, seconds] = clock ? ['', undefined, ...clock.slice(1)] : (ISO_8601.exec(text) ?? []);
  const total =
    Number(days ?? 0) * 86_400 + Number(hours ?? 0) * 3_600 + Number(minutes ?? 0) * 60 + Number(seconds ?? 0);
  return total > 0 && total <= DURATION_MAX_S ? total : null;
}
