const ZONE = /(?:[a-z]|[+-]\d{2}:?\d{2})\s*$/i;

/** RFC 822 or RFC 3339 → epoch milliseconds; null for what is no date. A date without a zone is taken as UTC, wherever we run. */
export function parseDate(text: string | undefined): number | null {
  if (!text) return null;
  // Date.parse takes a time without a zone as ours: "Z" makes RFC 3339 of it, " UTC" RFC 822.
  const readings = ZONE.test(text) ? [text] : [`${text}Z`, `${text} UTC`];
  return readings.map((reading) => Date.parse(reading)).find((time) => !Number.isNaN(time)) ?? null;
}
