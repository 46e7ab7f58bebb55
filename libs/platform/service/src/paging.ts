import { z } from 'zod';

/** Most rows of one page. */
export const PAGE_MAX = 100;
/** Rows of a page unless told. */
export const PAGE_DEFAULT = 50;
/** Farthest that an offset reaches; beyond it there is the cursor, where a route has one. */
export const OFFSET_MAX = 10_000;

/** A whole number in a query, digits only; what is out of bounds is refused, never clamped. */
export const integerParameter = (min: number, max: number, byDefault: number) =>
  z
    .string()
    .regex(/^-?\d{1,9}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(min).max(max))
    .optional()
    .transform((value) => value ?? byDefault)
    .meta({ documentedAs: z.int().min(min).max(max).default(byDefault) });

export const limitParameter = (byDefault = PAGE_DEFAULT) => integerParameter(1, PAGE_MAX, byDefault);
export const offsetParameter = integerParameter(0, OFFSET_MAX, 0);
