import { StoreUnavailable } from '@balados/event-sourcing';
import { isPassingDatabaseError, Projector, standingsOf } from '@balados/platform-stores';
import { createSiteProjector } from '@balados/site-projections';
import { usersProjector } from '@balados/users-projections';
import { kindOf, lastRunOfEach, lastRuns } from '../job-runs';
import { JOBS } from '../jobs';
import type { JobsDependencies } from '../jobs';
import type { Figures } from './figures';
import type { ServiceHealth } from './services';

/** What is not known by then is said to be away, in milliseconds. */
export const SECTION_TIMEOUT_MS = 3_000;
/** What projections are behind is counted up to so many events, and for so many milliseconds. */
export const LAG_SHOWN = { eventsMax: 1_000, milliseconds: 1_000 } as const;
/** So many podcasts and runs of jobs are shown. */
export const PODCASTS_SHOWN = 10;
export const RUNS_SHOWN = 15;

/** What the page shows, each part for itself: one that is away keeps no other from being shown. */
export interface SectionParts {
  dependencies: Pick<JobsDependencies, 'users' | 'site' | 'streams' | 'publicMinListeners'>;
  figures: () => Promise<Figures>;
  services: () => Promise<ServiceHealth[]>;
}

export type Section = () => Promise<object>;

export function sectionsOf({ dependencies, figures, services }: SectionParts): Record<string, Section> {
  const { users, site, streams, publicMinListeners } = dependencies;
  const projectors: [typeof users, Projector][] = [
    [users, usersProjector],
    [site, createSiteProjector({ publicMinListeners })],
  ];
  return {
    // As text: it is beyond what a number of JavaScript can hold.
    log: async () => ({ position: String((await streams.store.headPosition()) ?? 0n) }),
    figures,
    projections: async () => {
      const standings = await Promise.all(
        projectors.map(([sql, projector]) => standingsOf(sql, streams.store, projector, LAG_SHOWN)),
      );
      return { projectors: standings.flat().map(summary) };
    },
    popularity: async () => ({ podcasts: (await site.query<PodcastRow[]>(PODCASTS)).map(podcastOf) }),
    jobs: async () => {
      const last = await lastRunOfEach(
        site,
        JOBS.map(({ name }) => name),
      );
      return {
        jobs: JOBS.map(({ name, does }) => ({ name, does, last: last.find(({ job }) => job === name) ?? null })),
        runs: await lastRuns(site, RUNS_SHOWN),
      };
    },
    services: async () => ({ services: await services() }),
  };
}

type Standing = Awaited<ReturnType<typeof standingsOf>>[number];

/** Why a segment stands still may name a listener: that it does is shown, and `projections status` says the rest. */
const summary = ({ projector, isRebuild, processes, segments }: Standing) => ({
  projector,
  isRebuild,
  processes,
  segments: segments.length,
  unheld: segments.filter(({ owner }) => owner === null).length,
  stopped: segments.filter(({ failed }) => failed !== null).map(({ segment }) => segment),
  lagEvents: sumOf(segments.map(({ lagEvents }) => lagEvents)),
  isLagMore: segments.some(({ isLagMore }) => isLagMore),
  lagSeconds: mostOf(segments.map(({ lagSeconds }) => lagSeconds)),
  movedAt: new Date(Math.max(...segments.map(({ movedAt }) => movedAt.getTime()))),
});

type Known = (number | null)[];
const isKnown = (numbers: Known): numbers is number[] => numbers.every((number) => number !== null);
const sumOf = (numbers: Known): number | null => (isKnown(numbers) ? numbers.reduce((one, two) => one + two, 0) : null);
const mostOf = (numbers: Known): number | null => (isKnown(numbers) ? Math.max(0, ...numbers) : null);

interface PodcastRow {
  id: string;
  feed: string;
  title: string | null;
  score: number;
  growth: number;
  plays: number;
  likes: number;
}

/** Of what is published, the podcasts that grew most. */
export const PODCASTS = `SELECT feed_id AS id, feed, feed_title AS title, score, growth, plays, likes
  FROM site.podcast_popularity ORDER BY growth DESC, score DESC, feed_id LIMIT ${PODCASTS_SHOWN}`;

/** An address may have a secret in it, also one that is published: its host is enough to know it by. */
const podcastOf = ({ feed, ...row }: PodcastRow) => ({
  ...row,
  host: URL.canParse(feed) ? new URL(feed).host : '',
});

/** Why a section is away, in words that tell nothing of what is in the stores. */
export function reasonOf(error: unknown): string {
  if (error instanceof StoreUnavailable) return 'The event store does not answer.';
  if (isPassingDatabaseError(error)) return 'Postgres does not answer.';
  return `It could not be read (${kindOf(error)}); the log of jobs says why.`;
}
