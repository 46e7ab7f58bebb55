import type { RecordedEvent } from './model';

/** What a filtered read of the whole log lets through: events whose stream or type begins with, or matches, this. */
export interface Filter {
  on: 'stream' | 'type';
  prefixes: string[];
  regex: RegExp | undefined;
  /** Events looked at, matching or not, between two checkpoints; 0 for none. */
  checkpointEvery: number;
}

export const everything: Filter = { on: 'stream', prefixes: [''], regex: undefined, checkpointEvery: 0 };

export const matches = ({ on, prefixes, regex }: Filter, event: Pick<RecordedEvent, 'stream' | 'type'>): boolean =>
  regex ? regex.test(event[on]) : prefixes.some((prefix) => event[on].startsWith(prefix));
