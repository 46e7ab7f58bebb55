import { Inject } from '@nestjs/common';
import { Command, CommandHandler, ICommandHandler } from '@nestjs/cqrs';
import { Privacy, WirePrivacy, wirePrivacy } from '@balados/users-contracts';
import { findPrivacy, PrivacyCommand, PrivacyScope } from '@balados/users-domain';
import { CLOCK, LISTENER_STREAMS } from './commands';
import { feedOfItem } from './feed-of-item';
import type { ListenerStreams, Speaker } from './listener-streams';
import { metadataOf } from './listener-streams';

/**
 * Sets what the world may see of one scope, or with `privacy` null removes the setting; answers how the scope then stands.
 * The feed of an item that comes alone is looked up.
 */
export class ChangePrivacy extends Command<WirePrivacy> {
  constructor(
    readonly speaker: Speaker,
    readonly scope: PrivacyScope,
    readonly privacy: Privacy | null,
  ) {
    super();
  }
}

@CommandHandler(ChangePrivacy)
export class ChangePrivacyHandler implements ICommandHandler<ChangePrivacy> {
  constructor(
    @Inject(LISTENER_STREAMS) private readonly streams: ListenerStreams,
    @Inject(CLOCK) private readonly clock: () => number,
  ) {}

  async execute({ speaker, scope: { feed: named, item }, privacy }: ChangePrivacy): Promise<WirePrivacy> {
    const feed = named ?? (item === null ? null : await feedOfItem(this.streams, speaker.userId, item));
    const now = this.clock();
    const command: PrivacyCommand =
      privacy === null
        ? { type: 'ResetPrivacy', data: { feed, item, now } }
        : { type: 'ChangePrivacy', data: { feed, item, privacy, now } };
    return this.streams.privacy.handle(speaker.userId, command, metadataOf(speaker, now), ({ state }) =>
      // Removing what was never set is so already.
      wirePrivacy({ feed, item, privacy: findPrivacy(state, { feed, item })?.privacy ?? null }),
    );
  }
}
