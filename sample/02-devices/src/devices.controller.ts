import { Body, Controller, Get, Post, Redirect, Req, UseFilters } from '@nestjs/common';
import type { Request } from 'express';
import { CurrentUser, RequireFreshLogin, SessionAuthService, SessionRegistry } from 'nestjs-session-auth';
import { leaveNotice, takeNotice } from './notice.js';
import { PagesFilter } from './pages.filter.js';
import type { User } from './users.service.js';
import { devicesPage } from './views.js';

/** How old a login may be that signs other devices out: whoever finds an open page must not lock its owner out. */
const FRESH = process.env.STEP_UP_WITHIN ?? '1m';

/** Without a fresh login, neither way to sign out is reached: `PagesFilter` has the password confirmed first. */
@Controller()
@UseFilters(PagesFilter)
export class DevicesController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly sessions: SessionRegistry,
  ) {}

  @Get()
  async list(@CurrentUser() user: User, @Req() request: Request): Promise<string> {
    const current = this.auth.current(request);
    const all = await this.sessions.list(user.id);
    const others = all.filter(({ handle }) => handle !== current.handle);
    return devicesPage({ user, current, others, notice: takeNotice(request) });
  }

  /** A handle of somebody else's session ends nothing: the registry looks whose it is. */
  @RequireFreshLogin(FRESH)
  @Post('devices/sign-out')
  @Redirect('/', 303)
  async signOut(@CurrentUser() { id }: User, @Body('handle') handle: unknown, @Req() request: Request) {
    if (handle === this.auth.current(request).handle) {
      await this.auth.logOut(request);
      return { url: '/login?reason=logged_out' };
    }
    const ended = typeof handle === 'string' && (await this.sessions.revoke(id, handle));
    leaveNotice(request, ended ? 'The device is signed out.' : 'That device was signed out already.');
    return undefined;
  }

  @RequireFreshLogin(FRESH)
  @Post('devices/sign-out-others')
  @Redirect('/', 303)
  async signOutOthers(@CurrentUser() { id }: User, @Req() request: Request): Promise<void> {
    const ended = await this.sessions.revokeAll(id, { except: this.auth.current(request).handle });
    leaveNotice(request, ended === 1 ? 'One other device is signed out.' : `${ended} other devices are signed out.`);
  }
}
