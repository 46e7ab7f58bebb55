import { createParamDecorator, ExecutionContext } from '@nestjs/common';
import { ListenerRequest } from '@balados/users-accounts';
import { Speaker } from '@balados/users-write';

/** The listener that ListenerGuard let pass, with the request's correlation id: what an event's metadata says. */
export const CurrentSpeaker = createParamDecorator((_data: unknown, context: ExecutionContext): Speaker => {
  const { id, listener } = context.switchToHttp().getRequest<ListenerRequest & { id: string }>();
  return {
    userId: listener!.userId,
    correlationId: id,
    deviceId: listener!.deviceId ?? undefined,
    deviceName: listener!.deviceName ?? undefined,
  };
});
