import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { EpisodeAction } from '@balados/users-domain';
import { CLOCK, LISTENER_STREAMS } from './commands';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';

/** Keeps what an app tells that was done with episodes, and moves positions by it. @throws Refusal `library_full` */
export class ReportEpisodeActions extends Command<void> {
  constructor(
    readonly speaker: Speaker,
    readonly actions: readonly EpisodeAction[],
  ) {
    super();
  }
}

@CommandHandler(ReportEpisodeActions)
export class ReportEpisodeActionsHandler implements ICommandHandler<ReportEpisodeActions> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  execute({ speaker, actions }: ReportEpisodeActions): Promise<void> {
    const now = this.clock();
    const command = { type: 'ReportActions', data: { actions, now } } as const;
    return this.streams.listening.handle(speaker.userId, command, metadataOf(speaker, now), () => undefined);
  }
}
