import { Controller, Get, Post, Query, Redirect, Req, Res, UseFilters, UseGuards } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentUser, LoginGuard, Public, SessionAuthService } from 'nestjs-session-auth';
import { PagesFilter } from './pages.filter.js';
import { whySignedOut } from './sign-out-reasons.js';
import type { User } from './users.service.js';
import { loginPage } from './views.js';

@Controller()
@UseFilters(PagesFilter)
export class LoginController {
  constructor(private readonly auth: SessionAuthService) {}

  @Public()
  @Get('login')
  form(@CurrentUser() user: User | undefined, @Query('reason') reason: unknown, @Res() response: Response): void {
    if (user) response.redirect(303, '/');
    else response.send(loginPage({ reason: whySignedOut(reason) }));
  }

  @Public()
  @UseGuards(LoginGuard('local', { badRequestMessage: 'Enter a username and a password' }))
  @Post('login')
  @Redirect('/', 303)
  logIn(): void {
    // The guard has done it.
  }

  @Post('logout')
  @Redirect('/login?reason=logged_out', 303)
  async logOut(@Req() request: Request): Promise<void> {
    await this.auth.logOut(request);
  }
}
