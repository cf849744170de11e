import { Controller, Get, HttpCode, Post, Redirect, Req, Res, UseFilters, UseGuards } from '@nestjs/common';
import type { Request, Response } from 'express';
import { CurrentUser, LoginGuard, Public, SessionAuthService } from 'nestjs-session-auth';
import { LoginPageFilter, wantsJson } from './login-page.filter.js';
import type { User } from './users.service.js';
import { homePage, loginPage } from './views.js';

@Controller()
@UseFilters(LoginPageFilter)
export class PagesController {
  constructor(private readonly auth: SessionAuthService) {}

  @Get()
  home(@CurrentUser() user: User): string {
    return homePage(user);
  }

  @Public()
  @Get('login')
  loginForm(): string {
    return loginPage();
  }

  @Public()
  @UseGuards(LoginGuard('local', { keep: ['returnTo'], badRequestMessage: 'Enter a username and a password' }))
  @Post('login')
  @HttpCode(200)
  login(@CurrentUser() user: User, @Req() request: Request, @Res() response: Response): void {
    const { returnTo = '/' } = request.session;
    delete request.session.returnTo;
    if (wantsJson(request)) response.json(user);
    else response.redirect(303, returnTo);
  }

  @Post('logout')
  @Redirect('/login', 303)
  async logout(@Req() request: Request): Promise<void> {
    await this.auth.logOut(request);
  }
}
