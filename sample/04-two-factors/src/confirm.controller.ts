import { Body, Controller, Get, Post, Req, Res, UseFilters } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentUser, SessionAuthService } from 'nestjs-session-auth';
import { CodesService } from './codes.service.js';
import { PagesFilter } from './pages.filter.js';
import { UsersService, type User } from './users.service.js';
import { confirmPage, onceMorePage } from './views.js';

/** The step-up: a code, or the password where there is no second factor yet. Then the user goes on where they were. */
@Controller('confirm')
@UseFilters(PagesFilter)
export class ConfirmController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly users: UsersService,
    private readonly codes: CodesService,
  ) {}

  @Get()
  form(@CurrentUser() user: User): string {
    return confirmPage({ user, asksForCode: this.codes.isActive(user) });
  }

  @Post()
  async confirm(
    @CurrentUser() user: User,
    @Body() { code, password }: Record<string, unknown>,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const asksForCode = this.codes.isActive(user);
    const isRight = asksForCode
      ? this.codes.accept(user, code)
      : (await this.users.findByPassword(user.username, String(password))) !== null;
    if (!isRight) {
      const error = asksForCode ? 'That is not the code, or it was used before' : 'That is not your password';
      response.status(403).send(confirmPage({ user, asksForCode, error }));
      return;
    }
    await this.auth.reauthenticate(request, asksForCode ? 'totp' : 'password');
    const kept = await this.auth.takeKeptRequest(request);
    // A form is shown again, and the user submits it: a redirect cannot send it, and nothing happens unseen.
    if (kept?.method === 'POST') response.send(onceMorePage(user, kept));
    else response.redirect(303, kept?.path ?? '/');
  }
}
