import { createParamDecorator, ExecutionContext } from '@nestjs/common';
import type { SignedIn } from '@balados/users-accounts';

/** Which of a listener's apps asks, as far as it can be told. */
export interface SpeakingApp {
  userId: string;
  /** What its names for feeds are kept under: its device where the address names one, and what it signed in by. */
  clients: readonly [string, ...string[]];
  /** The first of these is this app alone. */
  isTold: boolean;
  /** It calls a feed from then on what it is answered in `update_urls`. No other library known does. */
  renames: boolean;
}

export const deviceClient = (device: string): string => `device ${device}`;
const ACCOUNT = 'account';
/** Those who may sign in by the account's own password: it does not tell them apart. */
export const isOfAccount = (client: string): boolean => client === ACCOUNT || client.startsWith('device ');

export function speakingApp(
  { userId, by }: SignedIn,
  { device, userAgent }: { device: string | undefined; userAgent: string | undefined },
): SpeakingApp {
  const credential = 'appPassword' in by ? `password ${by.appPassword}` : ACCOUNT;
  return {
    userId,
    clients: device === undefined ? [credential] : [deviceClient(device), credential],
    isTold: device !== undefined || credential !== ACCOUNT,
    renames: /\bmygpoclient\//i.test(userAgent ?? ''),
  };
}

/** The app that AppGuard let pass. */
export const CurrentApp = createParamDecorator(
  (_data: unknown, context: ExecutionContext): SpeakingApp =>
    context.switchToHttp().getRequest<{ app?: SpeakingApp }>().app!,
);
