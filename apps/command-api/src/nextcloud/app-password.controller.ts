import { Controller, Delete, Inject, Req, UseGuards } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { Problem } from '@balados/platform-service';
import type { AccountsParts } from '@balados/users-accounts';
import { AppGuard } from '../gpodder/app.guard';
import type { AppRequest } from '../gpodder/app.guard';
import { ACCOUNTS } from '../tokens';

/** How Nextcloud's apps end the password that they sign in by, when they are disconnected. */
@Controller('ocs/v2.php/core/apppassword')
@ApiExcludeController()
@UseGuards(AppGuard)
export class NextcloudAppPasswordController {
  constructor(@Inject(ACCOUNTS) private readonly accounts: AccountsParts) {}

  @Delete()
  async revoke(@Req() { headers, signedIn }: AppRequest) {
    // No page of another site can send it unasked.
    if (!headers['ocs-apirequest']) throw new Problem(400, 'malformed', 'Send the header OCS-APIRequest: true.');
    const { userId, by } = signedIn!;
    if (!('appPassword' in by))
      throw new Problem(403, 'no_app_password', 'That is the password of the account, and not one of an app.');
    await this.accounts.tokens.revoke(userId, by.appPassword);
    return { ocs: { meta: { status: 'ok', statuscode: 200, message: 'OK' }, data: [] } };
  }
}
