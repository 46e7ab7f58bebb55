import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { EraseHistory } from '@balados/users-domain';
import { CLOCK, LISTENER_STREAMS } from './commands';
import type { ListenerStreams } from './listener-streams';
import { metadataOf } from './listener-streams';

/**
 * Says in each of the listener's streams but privacy that all before it counts no more; from then on it is read nowhere. Whoever removes
 * it for good says so again, should this have got no further than the first.
 */
export class EraseListenerHistory extends Command<void> {
  constructor(
    readonly userId: string,
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

  async execute({ userId, requestedAt, erasureId }: EraseListenerHistory): Promise<void> {
    const command: EraseHistory = { type: 'EraseHistory', data: { scope: 'history', requestedAt } };
    // Nothing of the device: it is of all.
    const metadata = metadataOf({ userId, correlationId: erasureId }, this.clock());
    for (const category of ['subscriptions', 'playlists', 'listening'] as const)
      await this.streams[category].handle(userId, command, metadata, () => undefined);
  }
}
