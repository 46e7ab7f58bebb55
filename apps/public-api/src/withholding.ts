import { isWithheld, withoutPeople } from '@balados/site-read';
import type { Sql } from '@balados/platform-stores';
import { CallHandler, ExecutionContext, Inject, Injectable, NestInterceptor } from '@nestjs/common';
import { from, map, mergeMap, Observable, tap } from 'rxjs';
import { SITE_SQL } from './site-sql';

/** Injection token of how late projections may be, in milliseconds. */
export const MAX_LAG_MS = Symbol('maximal lag');

/** Says that the timeline and the lists of people were left empty, since privacy settings may not have taken effect yet. */
export const WITHHELD_HEADER = 'balados-withheld';

/** While projections are too late, answers name nobody. */
@Injectable()
export class Withholding implements NestInterceptor {
  constructor(
    @Inject(SITE_SQL) private readonly sql: Sql,
    @Inject(MAX_LAG_MS) private readonly maxLagMs: number,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler<object>): Observable<object> {
    // Asked first: what is read after it is at least as new as it says.
    return from(isWithheld(this.sql, { maxLagMs: this.maxLagMs })).pipe(
      mergeMap((withheld) => {
        if (!withheld) return next.handle();
        const response = context.switchToHttp().getResponse<{ header(name: string, value: string): void }>();
        return next.handle().pipe(
          tap(() => response.header(WITHHELD_HEADER, 'true')),
          map(withoutPeople),
        );
      }),
    );
  }
}
