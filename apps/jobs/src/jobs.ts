import type { FeedsClient } from '@balados/feeds-client';
import type { Logger } from '@balados/platform-service';
import { arrangeTimeline, movePopularityWindows, movedByWindows, timelineChanges } from '@balados/site-projections';
import {
  endedLoginFlows,
  endedSessions,
  ERASURES_LOCK,
  pendingErasures,
  purgeIdempotencyKeys,
  purgeLoginFlows,
  purgeSessions,
} from '@balados/users-accounts';
import type { Privacy } from '@balados/users-contracts';
import type { ListenerStreams } from '@balados/users-write';
import type { DataSource } from 'typeorm';
import { eraseDue } from './erasures';
import { feedsAreDue, refreshFeedMetadata } from './feed-metadata';
import { comparePodcasts } from './popularity';
import type { Progress } from './progress';
import { scavengeIsDue } from './scavenge';
import { cutStreams, streamsDue, streamsToCut, takeCheckpoints } from './trimming';

/** What a job works with, as the configuration says; times in milliseconds. */
export interface JobsDependencies {
  users: DataSource;
  site: DataSource;
  streams: ListenerStreams;
  log: Logger;
  /** Undefined: no rss-proxy is named, and nothing is asked of feeds. */
  feeds: FeedsClient | undefined;
  defaultPrivacy: Privacy;
  publicMinListeners: number;
  /** Over this long growth is measured. */
  trendingWindowMs: number;
  /** A stream with an event that was recorded so long ago gets a checkpoint. */
  checkpointAfterMs: number;
  /** Of what ended so long ago key and dates stay alone. */
  dropAfterMs: number;
  /** Between two rounds of the jobs that are not urgent. */
  everyMs: number;
  /** Streams that get a checkpoint in one run, that are cut in one, and feeds that are asked in one. */
  checkpointBatch: number;
  trimBatch: number;
  metadataBatch: number;
  /** From one scavenge of the event store to the next; 0 for never. */
  scavengeEveryMs: number;
}

/** One run of a job. */
export interface Turn {
  /** Epoch milliseconds. */
  now: () => number;
  /** Nothing more is begun when it is aborted; the next run goes on. */
  signal: AbortSignal;
  progress: Progress;
}

export type JobParts = JobsDependencies & Turn;

/** What a run has done, or would do, by name. */
export type Figures = Record<string, number>;

export interface Job {
  name: string;
  /** In a line, for whoever lists them. */
  does: string;
  /** Milliseconds from one run to the next; undefined: in turn with the others, once in `everyMs`. */
  urgentMs?: number;
  /** What the replicas lock in `database`, so that one of them is at it: its letters in hexadecimal. */
  lock: number;
  database: 'users' | 'site';
  /** Whatever the time is, it does the same. */
  isTimeless?: true;
  /** Less often than in each round: by the clock it is run when `isDue` says so, whichever replica ran it last. */
  rarely?: {
    /** Milliseconds; 0 for never. */
    everyMs: (dependencies: Pick<JobsDependencies, 'scavengeEveryMs'>) => number;
    isDue: (parts: JobParts) => Promise<boolean>;
  };
  /** Idempotent, bounded, and resumed by the next run wherever it ends. */
  run: (parts: JobParts) => Promise<Figures>;
  /** What a run would do; changes nothing. */
  foresee: (parts: JobParts) => Promise<Figures>;
}

/** New feeds are looked for this often, in milliseconds. */
export const METADATA_EVERY_MS = 10_000;
/** Erasures are carried on this often, in milliseconds. */
export const ERASURES_EVERY_MS = 2_000;

/** All jobs, in the order in which a round takes its turn with them. */
export const JOBS: readonly Job[] = [
  {
    name: 'erasures',
    does: 'carries on what listeners want erased',
    urgentMs: ERASURES_EVERY_MS,
    lock: ERASURES_LOCK,
    database: 'users',
    isTimeless: true,
    run: eraseDue,
    foresee: async ({ users }) => ({ pending: (await pendingErasures(users)).length }),
  },
  {
    name: 'checkpoint',
    does: 'draws old and long streams together, and drops the content of what ended long ago',
    lock: 0x63686b70,
    database: 'users',
    run: takeCheckpoints,
    foresee: async (parts) => ({ due: (await streamsDue(parts)).length }),
  },
  {
    name: 'trim',
    does: 'cuts streams before a checkpoint that every projector has passed',
    lock: 0x7472696d,
    database: 'users',
    run: cutStreams,
    foresee: async (parts) => ({ uncut: (await streamsToCut(parts)).length }),
  },
  {
    name: 'windows',
    does: 'moves the windows over which growth is measured',
    lock: 0x77696e64,
    database: 'site',
    run: async ({ site, now, trendingWindowMs: windowMs }) => {
      await movePopularityWindows(site, { now: now(), windowMs });
      return {};
    },
    foresee: async ({ site, now, trendingWindowMs: windowMs }) => ({
      passing: await movedByWindows(site, { now: now(), windowMs }),
    }),
  },
  {
    name: 'timeline',
    does: 'makes the partitions of the timeline for the months to come, and drops what is no longer read',
    lock: 0x70617274,
    database: 'site',
    run: async ({ site, now }) => ({ dropped: (await arrangeTimeline(site, { now: now() })).length }),
    foresee: async ({ site, now }) => ({ leaving: (await timelineChanges(site, { now: now() })).leaving.length }),
  },
  {
    name: 'drift',
    does: 'compares counts and lists with the contributions that they come from, and repairs what differs',
    lock: 0x64726966,
    database: 'site',
    run: (parts) => comparePodcasts(parts, { isRepaired: true }),
    foresee: (parts) => comparePodcasts(parts, { isRepaired: false }),
  },
  {
    name: 'metadata',
    does: 'asks feeds for their titles, authors and covers, and where they have moved to',
    urgentMs: METADATA_EVERY_MS,
    lock: 0x66656564,
    database: 'site',
    run: refreshFeedMetadata,
    foresee: async (parts) => ({ due: await feedsAreDue(parts) }),
  },
  {
    name: 'scavenge',
    does: 'has the event store remove from its disk what was cut and erased, once a day',
    lock: 0x73637667,
    database: 'site',
    rarely: { everyMs: ({ scavengeEveryMs }) => scavengeEveryMs, isDue: scavengeIsDue },
    run: async ({ streams }) => ({ begun: Number(await streams.store.scavenge()) }),
    foresee: async (parts) => ({ due: Number(await scavengeIsDue(parts)) }),
  },
  {
    name: 'sessions',
    does: 'forgets sessions, tokens and idempotency keys that ended long ago, and logins of apps that are over',
    lock: 0x73657373,
    database: 'users',
    run: async ({ users, now }) => ({
      sessions: await purgeSessions(users, new Date(now())),
      keys: await purgeIdempotencyKeys(users, new Date(now())),
      logins: await purgeLoginFlows(users),
    }),
    foresee: async ({ users, now }) => ({
      ...(await endedSessions(users, new Date(now()))),
      logins: await endedLoginFlows(users),
    }),
  },
];
