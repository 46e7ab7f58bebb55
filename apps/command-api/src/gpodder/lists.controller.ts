import { Controller, Delete, Get, Param, Post, Put, UseGuards } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Problem, TakesAnyBody } from '@balados/platform-service';
import { z } from 'zod';
import { AppGuard } from './app.guard';
import { named } from './wire';

const userPath = z.object({ file: named('json') });

const WHY = 'Lists of podcasts are not kept here: podcasts are subscribed to, and playlists are of episodes.';

/** gPodder.net's lists are of podcasts, and for everybody to see. Nothing here is like them, and nothing pretends to be. */
@Controller('api/2/lists')
@ApiExcludeController()
@UseGuards(AppGuard)
export class GpodderListsController {
  @Get(':file')
  list(@Param({ schema: userPath }) _path: unknown): [] {
    return [];
  }

  @Post(':user/create.:format')
  @TakesAnyBody()
  create(): never {
    throw new Problem(403, 'no_podcast_lists', WHY);
  }

  @Get(':user/list/:list')
  read(): never {
    throw new Problem(404, 'not_found', WHY);
  }

  @Put(':user/list/:list')
  @TakesAnyBody()
  replace(): never {
    return this.read();
  }

  @Delete(':user/list/:list')
  @TakesAnyBody()
  remove(): never {
    return this.read();
  }
}
