import { Refusal } from '@balados/event-sourcing';
import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { ERASED_CATEGORIES, ERASED_PARTS_MAX, ErasureTarget, partOf, WHOLE_HISTORY } from '@balados/users-contracts';
import { EraseHistory, partsBeside } from '@balados/users-domain';
import { CLOCK, LISTENER_STREAMS } from './commands';
import { feedOfItem } from './feed-of-item';
import type { ListenerStreams } from './listener-streams';
import { metadataOf } from './listener-streams';

/**
 * Finds out what a listener wants erased: all, a podcast, or an episode, whose feed is looked up when it comes without.
 * @throws Refusal `episode_unknown`, `episode_ambiguous`, `erasures_full`
 */
export class ChooseErasure extends Command<ErasureTarget> {
  constructor(
    readonly userId: string,
    readonly feed: string | undefined,
    readonly item: string | undefined,
  ) {
    super();
  }
}

@CommandHandler(ChooseErasure)
export class ChooseErasureHandler implements ICommandHandler<ChooseErasure> {
  constructor(@Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams) {}

  async execute({ userId, feed: named, item }: ChooseErasure): Promise<ErasureTarget> {
    if (named === undefined && item === undefined) return WHOLE_HISTORY;
    const feed = named ?? (await feedOfItem(this.streams, userId, item!));
    const target = partOf(feed, item ?? null);
    const parts = await this.streams.listening.query(userId, ({ state }) => partsBeside(state.erasures, target).size);
    if (parts >= ERASED_PARTS_MAX)
      throw new Refusal(
        'erasures_full',
        `${ERASED_PARTS_MAX} podcasts and episodes were erased by themselves already: erase a podcast of such episodes, or all`,
      );
    return target;
  }
}

/**
 * Says in each of the listener's streams that may hold some of it that what came before counts no more; from then on it is read nowhere.
 * Whoever removes it for good says so again, should this have got no further than the first.
 */
export class EraseListenerHistory extends Command<void> {
  constructor(
    readonly userId: string,
    readonly target: ErasureTarget,
    /** When it was asked for, epoch milliseconds, and under which id. */
    readonly requestedAt: number,
    readonly erasureId: string,
  ) {
    super();
  }
}

@CommandHandler(EraseListenerHistory)
export class EraseListenerHistoryHandler implements ICommandHandler<EraseListenerHistory> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  async execute({ userId, target, requestedAt, erasureId }: EraseListenerHistory): Promise<void> {
    const command: EraseHistory = { type: 'EraseHistory', data: { ...target, requestedAt } };
    // Nothing of the device: it is of all.
    const metadata = metadataOf({ userId, correlationId: erasureId }, this.clock());
    for (const category of ERASED_CATEGORIES[target.scope])
      await this.streams[category].handle(userId, command, metadata, () => undefined);
  }
}
