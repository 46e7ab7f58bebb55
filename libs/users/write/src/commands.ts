import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Inject } from '@nestjs/common';
import {
  WireEpisode,
  wireEpisode,
  WirePlay,
  wirePlay,
  WireSubscription,
  wireSubscription,
} from '@balados/users-contracts';
import {
  feedOf,
  findMark,
  findPlay,
  ListeningCommand,
  MarkCommand,
  PlayCommand,
  SubscriptionsCommand,
} from '@balados/users-domain';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';

/** Injection token of `ListenerStreams`. */
export const LISTENER_STREAMS = Symbol('listener streams');
/** Injection token of the clock: `() => number`, epoch milliseconds. */
export const CLOCK = Symbol('clock');

/** A decider's command as the edge says it: the handler's clock adds the time. */
export type WithoutNow<Union> = Union extends { type: string; data: object }
  ? { type: Union['type']; data: Omit<Union['data'], 'now'> }
  : never;

/** Changes one podcast of the listener; answers how it then stands. */
export class ChangeSubscription extends Command<WireSubscription> {
  constructor(
    readonly speaker: Speaker,
    readonly change: WithoutNow<Extract<SubscriptionsCommand, { type: 'Subscribe' | 'Unsubscribe' }>>,
  ) {
    super();
  }
}

/** Changes one episode of the listener; answers how it then stands. */
export class ChangePlay extends Command<WirePlay> {
  constructor(
    readonly speaker: Speaker,
    readonly change: WithoutNow<Exclude<PlayCommand, { type: 'MergePlays' }>>,
  ) {
    super();
  }
}

/** Saves, unsaves or shares one episode of the listener; answers how it then stands. */
export class MarkEpisode extends Command<WireEpisode> {
  constructor(
    readonly speaker: Speaker,
    readonly change: WithoutNow<MarkCommand>,
  ) {
    super();
  }
}

@CommandHandler(ChangeSubscription)
export class ChangeSubscriptionHandler implements ICommandHandler<ChangeSubscription> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  execute({ speaker, change }: ChangeSubscription): Promise<WireSubscription> {
    const now = this.clock();
    const command = { type: change.type, data: { ...change.data, now } } as SubscriptionsCommand;
    const { feed } = change.data;
    return this.streams.subscriptions.handle(speaker.userId, command, metadataOf(speaker, now), ({ state }) =>
      // Unsubscribing from what was never subscribed to is so already.
      wireSubscription(state.feeds.get(feed) ?? { feed, sourceId: null, subscribedAt: null, unsubscribedAt: null }),
    );
  }
}

@CommandHandler(ChangePlay)
export class ChangePlayHandler implements ICommandHandler<ChangePlay> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  execute({ speaker, change }: ChangePlay): Promise<WirePlay> {
    const now = this.clock();
    const command = { type: change.type, data: { ...change.data, now } } as ListeningCommand;
    const { feed, item } = change.data;
    // Without a feed there is just one such episode: the decider refuses the command otherwise.
    return this.streams.listening.handle(speaker.userId, command, metadataOf(speaker, now), ({ state }) =>
      wirePlay(findPlay(state, feed, item)!),
    );
  }
}

@CommandHandler(MarkEpisode)
export class MarkEpisodeHandler implements ICommandHandler<MarkEpisode> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  execute({ speaker, change }: MarkEpisode): Promise<WireEpisode> {
    const now = this.clock();
    const { item } = change.data;
    const command: MarkCommand = { type: change.type, data: { ...change.data, now } };
    return this.streams.listening.handle(speaker.userId, command, metadataOf(speaker, now), ({ state }) => {
      const feed = change.data.feed ?? feedOf(state, item);
      // Unsaving what was never saved is so already.
      return wireEpisode(findMark(state, feed, item) ?? { feed, item, savedAt: null, sharedAt: null });
    });
  }
}
