import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { CLOCK, LISTENER_STREAMS } from './commands';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';

/** Of canonical feed URLs: some to subscribe to and some to unsubscribe from, or all that are to be left. */
export type Wanted = { subscribe: readonly string[]; unsubscribe: readonly string[] } | { exactly: readonly string[] };

/** Changes several subscriptions at once. @throws Refusal `library_full`, and then none is changed */
export class ChangeSubscriptions extends Command<void> {
  constructor(
    readonly speaker: Speaker,
    readonly wanted: Wanted,
  ) {
    super();
  }
}

@CommandHandler(ChangeSubscriptions)
export class ChangeSubscriptionsHandler implements ICommandHandler<ChangeSubscriptions> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  execute({ speaker, wanted }: ChangeSubscriptions): Promise<void> {
    const now = this.clock();
    return this.streams.subscriptions.handle(
      speaker.userId,
      'exactly' in wanted
        ? { type: 'ReplaceSubscriptions', data: { feeds: wanted.exactly, now } }
        : { type: 'ChangeSubscriptions', data: { ...wanted, now } },
      metadataOf(speaker, now),
      () => undefined,
    );
  }
}
