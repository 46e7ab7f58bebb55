import {
  CanActivate,
  createParamDecorator,
  ExecutionContext,
  Inject,
  Injectable,
  InternalServerErrorException,
} from '@nestjs/common';
import type { Authenticate } from './authenticate';
import type { Listener, ListenerRequest } from './listener';

/** The injection token of Authenticate. */
export const AUTHENTICATE = Symbol('authenticate');

/** Lets a request pass that carries a listener's token. @throws Unauthenticated, AccountsUnavailable */
@Injectable()
export class ListenerGuard implements CanActivate {
  constructor(@Inject(AUTHENTICATE) private readonly authenticate: Authenticate) {}

  canActivate(context: ExecutionContext): boolean | Promise<boolean> {
    const request = context.switchToHttp().getRequest<ListenerRequest>();
    const admit = (listener: Listener): true => {
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
