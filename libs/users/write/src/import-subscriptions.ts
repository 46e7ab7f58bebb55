import { Refusal } from '@balados/event-sourcing';
import { canonicalFeed, InvalidId } from '@balados/feeds-ids';
import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { CLOCK, LISTENER_STREAMS } from './commands';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';

/** What became of a URL: subscribed to now, subscribed to before, or why it could not be. */
export type Imported = 'imported' | 'already' | { code: string; message: string };

/**
 * Subscribes to all of these feeds, URLs as somebody wrote them, each as if by itself: one that cannot be taken keeps none of the others back.
 * Answers what became of each, in their order. Sent again after a failure it does what is left.
 */
export class ImportSubscriptions extends Command<Imported[]> {
  constructor(
    readonly speaker: Speaker,
    readonly urls: readonly string[],
  ) {
    super();
  }
}

@CommandHandler(ImportSubscriptions)
export class ImportSubscriptionsHandler implements ICommandHandler<ImportSubscriptions> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  async execute({ speaker, urls }: ImportSubscriptions): Promise<Imported[]> {
    const now = this.clock();
    const metadata = metadataOf(speaker, now);
    const feeds = urls.map(feedOf);
    const commands = feeds.flatMap((feed) =>
      typeof feed === 'string'
        ? [{ command: { type: 'Subscribe', data: { feed, sourceId: null, now } } as const, metadata }]
        : [],
    );
    const outcomes = (await this.streams.subscriptions.handleAll(speaker.userId, commands)).values();
    return feeds.map((feed) => {
      if (typeof feed !== 'string') return { code: feed.code, message: feed.message };
      const outcome = outcomes.next().value!;
      if ('events' in outcome) return outcome.events.length > 0 ? 'imported' : 'already';
      if (!(outcome.error instanceof Refusal)) throw outcome.error;
      return { code: outcome.error.code, message: outcome.error.message };
    });
  }
}

function feedOf(url: string): string | InvalidId {
  try {
    return canonicalFeed(url);
  } catch (error) {
    if (error instanceof InvalidId) return error;
    throw error;
  }
}
