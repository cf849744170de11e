import { Body, Controller, Get, Post, Query, Redirect, Req, Res, UseFilters, UseGuards } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentUser, LoginGuard, PendingLogin, Public, SessionAuthService } from 'nestjs-session-auth';
import { CodesService } from './codes.service.js';
import { PagesFilter } from './pages.filter.js';
import { whySignedOut } from './sign-out-reasons.js';
import type { User } from './users.service.js';
import { codePage, loginPage } from './views.js';

/** The password, and for users with two factors a code. Until both are there, nobody is logged in. */
@Controller()
@UseFilters(PagesFilter)
export class LoginController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly codes: CodesService,
  ) {}

  @Public()
  @Get('login')
  form(@CurrentUser() user: User | undefined, @Query('reason') reason: unknown, @Res() response: Response): void {
    if (user) response.redirect(303, '/');
    else response.send(loginPage({ reason: whySignedOut(reason) }));
  }

  /** The guard only checks the password, by `session: false`: what is still missing depends on the user. */
  @Public()
  @UseGuards(LoginGuard('local', { session: false, badRequestMessage: 'Enter a username and a password' }))
  @Post('login')
  @Redirect('/', 303)
  async logIn(@CurrentUser() user: User, @Req() request: Request): Promise<void> {
    const pending = this.codes.isActive(user) ? ['totp'] : []; // Browsers that are spared it are not asked.
    await this.auth.logIn(request, user, { method: 'password', pending });
  }

  @PendingLogin()
  @Get('login/code')
  codeForm(): string {
    return codePage();
  }

  @PendingLogin()
  @Post('login/code')
  async complete(
    @CurrentUser() user: User,
    @Body() { code, trust }: Record<string, unknown>,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    if (!this.codes.accept(user, code)) {
      response.status(403).send(codePage('That is not the code, or it was used before'));
      return;
    }
    await this.auth.completeLogin(request, 'totp', trust === 'yes' ? { trustFor: '30d' } : {});
    response.redirect(303, '/');
  }

  @PendingLogin()
  @Post('logout')
  @Redirect('/login?reason=logged_out', 303)
  async logOut(@Req() request: Request): Promise<void> {
    await this.auth.logOut(request);
  }
}
