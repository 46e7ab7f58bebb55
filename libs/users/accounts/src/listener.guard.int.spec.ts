import { ArgumentsHost, Catch, Controller, ExceptionFilter, Get, Module, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, NestFastifyApplication } from '@nestjs/platform-fastify';
import { AUTHENTICATE, CurrentListener, type Listener, ListenerGuard, Unauthenticated } from './index';
import { accountsOnPostgres, Instance, password, phone, TestAccounts } from './testing';

@Controller()
class Self {
  @Get('self')
  @UseGuards(ListenerGuard)
  self(@CurrentListener() listener: Listener): Listener {
    return listener;
  }

  @Get('unguarded')
  unguarded(@CurrentListener() listener: Listener): Listener {
    return listener;
  }
}

@Catch(Unauthenticated)
class Reasons implements ExceptionFilter {
  catch({ reason }: Unauthenticated, host: ArgumentsHost): void {
    host.switchToHttp().getResponse().code(401).send({ reason });
  }
}

let test: TestAccounts;
let one: Instance;
let app: NestFastifyApplication;

beforeAll(async () => {
  test = await accountsOnPostgres();
  one = await test.start();
  @Module({ controllers: [Self], providers: [{ provide: AUTHENTICATE, useValue: one.authenticate }] })
  class Guarded {}
  app = await NestFactory.create<NestFastifyApplication>(Guarded, new FastifyAdapter(), { logger: false });
  app.useGlobalFilters(new Reasons());
  await app.init();
});
afterAll(async () => {
  await app.close();
  await test.close();
});

const get = async (url: string, headers: Record<string, string>) => {
  const response = await app.inject({ method: 'GET', url, headers });
  return { status: response.statusCode, body: response.json() };
};

it('lets a listener pass and says who it is, also when token and session are known', async () => {
  const { userId } = await one.accounts.create({ username: 'ann', password });
  const { accessToken } = await one.sessions.login({ username: 'ann', password, ...phone });
  const headers = { authorization: `Bearer ${accessToken}` };
  const listener = { userId, sessionId: expect.any(String), ...phone };
  for (let round = 0; round < 3; round++) expect(await get('/self', headers)).toEqual({ status: 200, body: listener });
});

it.each([
  [{}, 'no_token'],
  [{ authorization: 'Bearer garbage' }, 'invalid_token'],
])('stops a request with the headers %j', async (headers, reason) => {
  expect(await get('/self', headers as Record<string, string>)).toEqual({ status: 401, body: { reason } });
});

it('fails a route that forgot the guard', async () => {
  expect(await get('/unguarded', {})).toMatchObject({ status: 500 });
});
