import { Body, Controller, Get, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentUser, SessionAuthService } from 'nestjs-session-auth';
import { leaveNotice } from './notice.js';
import { PagesFilter } from './pages.filter.js';
import { UsersService, type User } from './users.service.js';
import { confirmPage } from './views.js';

/**
 * The step-up. It leads back to the devices with a login that is fresh now, and the user presses the button again: the
 * form that was interrupted is neither stored nor replayed, so nothing happens that is not asked for at that moment.
 */
@Controller('confirm')
@UseFilters(PagesFilter)
export class ConfirmController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly users: UsersService,
  ) {}

  @Get()
  form(@CurrentUser() user: User): string {
    return confirmPage(user);
  }

  @Post()
  async confirm(
    @CurrentUser() user: User,
    @Body('password') password: unknown,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    if (typeof password !== 'string' || !(await this.users.findByPassword(user.username, password))) {
      response.status(403).send(confirmPage(user, 'That is not your password'));
      return;
    }
    await this.auth.reauthenticate(request, 'password');
    leaveNotice(request, 'Thank you. Now you can sign out other devices.');
    response.redirect(303, '/');
  }
}
