import { createParamDecorator, ExecutionContext } from '@nestjs/common';
import type { SignedIn } from '@balados/users-accounts';

/** Which of a listener's apps asks, as far as it can be told. */
export interface SpeakingApp {
  userId: string;
  /** What its names for feeds are kept under: its device where the address names one, and what it signed in by. */
  clients: readonly string[];
  /** Those of them that are this app and no other: its device, and its own password. */
  own: readonly string[];
  /** It calls a feed from then on what it is answered in `update_urls`. No other library known does. */
  renames: boolean;
}

const ACCOUNT = 'account';
/** Those who may sign in by the account's own password: it does not tell them apart. */
export const isOfAccount = (client: string): boolean => client === ACCOUNT || client.startsWith('device ');

export function speakingApp(
  { userId, by }: SignedIn,
  { device, userAgent }: { device: string | undefined; userAgent: string | undefined },
): SpeakingApp {
  const own = [
    ...(device === undefined ? [] : [`device ${device}`]),
    ...('appPassword' in by ? [`password ${by.appPassword}`] : []),
  ];
  return {
    userId,
    clients: 'appPassword' in by ? own : [...own, ACCOUNT],
    own,
    renames: /\bmygpoclient\//i.test(userAgent ?? ''),
  };
}

/** The app that AppGuard let pass. */
export const CurrentApp = createParamDecorator(
  (_data: unknown, context: ExecutionContext): SpeakingApp =>
    context.switchToHttp().getRequest<{ app?: SpeakingApp }>().app!,
);
