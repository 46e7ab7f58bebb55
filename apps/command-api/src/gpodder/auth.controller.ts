import { Controller, HttpCode, Post, Req, Res, UseGuards } from '@nestjs/common';
import { TakesAnyBody } from '@balados/platform-service';
import { ApiExcludeController } from '@nestjs/swagger';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { AppGuard, cookieOf } from './app.guard';

/** The guard does it all: who passes gets the cookie. */
@Controller('api/2/auth/:user')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderAuthController {
  @Post('login.json')
  @TakesAnyBody()
  @HttpCode(200)
  login(): void {
    // Nothing more.
  }

  @Post('logout.json')
  @TakesAnyBody()
  @HttpCode(200)
  logout(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): void {
    reply.header('set-cookie', cookieOf('', 0, request));
  }
}
