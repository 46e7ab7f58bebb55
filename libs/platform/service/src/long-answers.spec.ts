import { Readable } from 'node:stream';
import { Controller, Get, Module, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { ANSWER_TIMEOUT_MS, stopOf } from './service';
import { startService, stopServices } from './service.fixture';

let text: Readable;

@Controller()
class EndlessController {
  @Get('endless')
  endless(@Res() reply: FastifyReply): void {
    text = new Readable({ read: () => undefined });
    text.push('begun');
    stopOf(reply.raw).addEventListener('abort', () => (text.push(', stopped'), text.push(null)));
    reply.type('text/plain').send(text);
  }
}
@Module({ controllers: [EndlessController] })
class EndlessModule {}

afterEach(async () => {
  jest.useRealTimers();
  await stopServices();
});

/** An answer that has begun; `whole` is all of it. */
async function begun(): Promise<{ whole: Promise<string> }> {
  const response = await fetch(`${await startService(EndlessModule)}/endless`);
  const pieces = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  const first = (await pieces.read()).value!;
  const read = async (all: string): Promise<string> => {
    const { done, value } = await pieces.read();
    return done ? all : read(all + value);
  };
  return { whole: read(first) };
}

it('an answer that has begun in time may take as long as it likes', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance', 'Date'] });
  const { whole } = await begun();
  jest.advanceTimersByTime(ANSWER_TIMEOUT_MS + 1);
  text.push(', and goes on');
  text.push(null);
  expect(await whole).toBe('begun, and goes on');
});

it('and hears of it when its server stops', async () => {
  const { whole } = await begun();
  await stopServices();
  expect(await whole).toBe('begun, stopped');
});
