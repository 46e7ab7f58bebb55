import {
  CanActivate,
  createParamDecorator,
  ExecutionContext,
  Inject,
  Injectable,
  InternalServerErrorException,
  Optional,
} from '@nestjs/common';
import { LISTENER_LIMIT } from '@balados/platform-service';
import type { ListenerLimit } from '@balados/platform-service';
import type { Authenticate } from './authenticate';
import type { Listener, ListenerRequest } from './listener';

/** The injection token of Authenticate. */
export const AUTHENTICATE = Symbol('authenticate');

/**
 * Lets a request pass that carries a listener's token, as often as listeners may ask.
 * @throws Unauthenticated, AccountsUnavailable, Problem 429
 */
@Injectable()
export class ListenerGuard implements CanActivate {
  constructor(
    @Inject(AUTHENTICATE) private readonly authenticate: Authenticate,
    @Optional() @Inject(LISTENER_LIMIT) private readonly limit?: ListenerLimit,
  ) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const request = context.switchToHttp().getRequest<ListenerRequest>();
    const admit = (listener: Listener): true => {
      this.limit?.(listener.userId);
      request.listener = listener;
      return true;
    };
    const listener = this.authenticate(request);
    return listener instanceof Promise ? listener.then(admit) : admit(listener);
  }
}

/** The listener that ListenerGuard let pass. */
export const CurrentListener = createParamDecorator((_data: unknown, context: ExecutionContext): Listener => {
  const { listener } = context.switchToHttp().getRequest<ListenerRequest>();
  if (!listener) throw new InternalServerErrorException('a route without ListenerGuard asks for its listener');
  return listener;
});
