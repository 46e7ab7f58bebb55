import { Inject } from '@nestjs/common';
import { IQueryHandler, Query, QueryHandler } from '@nestjs/cqrs';
import { episodeKey } from '@balados/feeds-ids';
import {
  claimOf,
  comparePlays,
  EpisodeAction,
  keysSince,
  ListeningState,
  Play,
  ReportedAction,
  UNDATED,
} from '@balados/users-domain';
import { LISTENER_STREAMS } from '@balados/users-write';
import type { ListenerStreams } from '@balados/users-write';

/** What an app is told of episodes; of what other front doors wrote, as if an app had reported it. */
export interface Asked {
  /** Time of receipt (our clock's, epoch milliseconds) from which on all is told; 0 for how it stands. */
  since: number;
  /** Only how it stands, also of what was received since. */
  isAggregated: boolean;
  feed?: string;
  device?: string;
}

/**
 * What was reported from a time of receipt on, in the order of receipt. How it stands is of each episode the last report that says where
 * the listener is, and the last of the others.
 */
export class GetEpisodeActions extends Query<EpisodeAction[]> {
  constructor(
    readonly userId: string,
    readonly asked: Asked,
  ) {
    super();
  }
}

@QueryHandler(GetEpisodeActions)
export class GetEpisodeActionsHandler implements IQueryHandler<GetEpisodeActions> {
  constructor(@Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams) {}

  execute({ userId, asked }: GetEpisodeActions): Promise<EpisodeAction[]> {
    return this.streams.listening.query(userId, ({ state }) => actionsOf(state, asked));
  }
}

/** @returns the actions, the one that was received first at the beginning */
export function actionsOf(state: ListeningState, { since, isAggregated, feed, device }: Asked): EpisodeAction[] {
  const isAsked = (action: ReportedAction): boolean =>
    action.recordedAt >= since &&
    (feed === undefined || action.feed === feed) &&
    (device === undefined || action.device === device);
  const told: ReportedAction[] = [];
  // To go through all that is held takes long, and mostly little is new.
  for (const key of keysSince(state.recent, since) ?? new Set([...state.reports.keys(), ...state.episodes.keys()])) {
    const reports = state.reports.get(key) ?? [];
    for (const each of reports) if (isAsked(each)) told.push(each);
    for (const each of unreported(state.episodes.get(key) ?? [], reports)) if (isAsked(each)) told.push(each);
  }
  const actions = since === 0 || isAggregated ? standing(told) : told;
  return actions.sort((one, other) => one.recordedAt - other.recordedAt || one.at - other.at);
}

function standing(actions: readonly ReportedAction[]): ReportedAction[] {
  const last = new Map<string, ReportedAction>();
  for (const action of actions) {
    const claim = claimOf(action);
    const place = `${claim !== undefined} ${action.feed}\n${episodeKey(action.item)}`;
    const before = last.get(place);
    // Of places the one that stands, as of claims.
    const isLater = !before || (claim ? comparePlays(claim, claimOf(before)!) >= 0 : action.at >= before.at);
    if (isLater) last.set(place, action);
  }
  return [...last.values()];
}

/** The plays that stand and that no app has reported so: of the other front doors. An undated one says nothing of where the listener is. */
function* unreported(plays: readonly Play[], reports: readonly ReportedAction[]): Generator<ReportedAction> {
  for (const play of plays) {
    if (play.updatedAt === UNDATED) continue;
    const says = (report: ReportedAction): boolean => {
      const claim = report.feed === play.feed && report.at === play.updatedAt ? claimOf(report) : undefined;
      return claim !== undefined && comparePlays(claim, play) === 0;
    };
    if (reports.findLastIndex(says) >= 0) continue;
    yield asReport(
      play,
      reports.filter(({ feed }) => feed === play.feed),
    );
  }
}

/** Apps take a place alone for none: where the length is not known, so much is taken to be left, in seconds. */
export const UNKNOWN_REST_SECONDS = 3_600;

function asReport(
  { feed, item, position, played, updatedAt, recordedAt }: Play,
  reports: readonly ReportedAction[],
): ReportedAction {
  const length = Math.max(...reports.map(({ total }) => total ?? 0), 0);
  const at = { feed, item, device: null, at: updatedAt, recordedAt };
  // To apps, an episode that is not begun is a new one.
  if (position === 0 && !played) return { ...at, action: 'new', started: null, position: null, total: null };
  const total = played ? Math.max(position, length, 1) : length > position ? length : position + UNKNOWN_REST_SECONDS;
  return { ...at, action: 'play', started: 0, position: played ? total : position, total };
}
