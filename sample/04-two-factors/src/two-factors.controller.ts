import { Body, Controller, Get, Post, Redirect, Req, Res, UseFilters } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentUser, RequireFreshLogin, SessionAuthService, SessionRegistry } from 'nestjs-session-auth';
import type { TOTP } from 'otpauth';
import { toDataURL } from 'qrcode';
import { CodesService } from './codes.service.js';
import { leaveNotice } from './notice.js';
import { PagesFilter } from './pages.filter.js';
import type { User } from './users.service.js';
import { enrolmentPage } from './views.js';

/**
 * Turns the second factor on and off. Whoever finds an open page must not do either: that needs a fresh login, and who has
 * a second factor shows a code.
 */
@Controller('two-factors')
@UseFilters(PagesFilter)
export class TwoFactorsController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly sessions: SessionRegistry,
    private readonly codes: CodesService,
  ) {}

  @RequireFreshLogin(process.env.STEP_UP_WITHIN ?? '5m', { proveAt: '/confirm' })
  @Get()
  async form(@CurrentUser() user: User, @Res() response: Response): Promise<void> {
    if (this.codes.isActive(user)) response.redirect(303, '/');
    else response.send(await this.page(user, this.codes.offer(user)));
  }

  @RequireFreshLogin(process.env.STEP_UP_WITHIN ?? '5m', { proveAt: '/confirm' })
  @Post()
  async turnOn(
    @CurrentUser() user: User,
    @Body('code') code: unknown,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    if (!this.codes.activate(user, code)) {
      const totp = this.codes.offeredTo(user) ?? this.codes.offer(user);
      response.status(403).send(await this.page(user, totp, 'That is not the code that the app shows now'));
      return;
    }
    await this.auth.reauthenticate(request, 'totp');
    await this.endOtherSessions(user, request);
    leaveNotice(request, 'Two factors are on. Your other devices have to log in again, with a code.');
    response.redirect(303, '/');
  }

  @RequireFreshLogin('5m', { methods: ['totp'], proveAt: '/confirm' })
  @Post('off')
  @Redirect('/', 303)
  async turnOff(@CurrentUser() user: User, @Req() request: Request): Promise<void> {
    this.codes.remove(user);
    await this.endOtherSessions(user, request);
    leaveNotice(request, 'Two factors are off.');
  }

  /** It also ends the trust in browsers that are spared the code. */
  private async endOtherSessions(user: User, request: Request): Promise<void> {
    await this.sessions.credentialsChanged(user, { keep: this.auth.current(request).handle });
  }

  private async page(user: User, totp: TOTP, error = ''): Promise<string> {
    const link = totp.toString();
    return enrolmentPage({
      user,
      link,
      secret: totp.secret.base32,
      qrCode: await toDataURL(link, { scale: 5 }),
      error,
    });
  }
}
