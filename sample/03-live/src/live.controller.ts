import { Body, Controller, Get, HttpCode, type MessageEvent, Post, Req, Sse, UseFilters } from '@nestjs/common';
import type { Request } from 'express';
import { CurrentUser, PassiveRoute, SessionAuthService, SessionRegistry } from 'nestjs-session-auth';
import { map, type Observable } from 'rxjs';
import { PagesFilter } from './pages.filter.js';
import { Presence } from './presence.js';
import type { User } from './users.service.js';
import { livePage } from './views.js';

@Controller()
export class LiveController {
  constructor(
    private readonly auth: SessionAuthService,
    private readonly sessions: SessionRegistry,
    private readonly presence: Presence,
  ) {}

  @Get()
  @UseFilters(PagesFilter)
  page(@CurrentUser() user: User, @Req() request: Request): string {
    return livePage(user, this.auth.current(request).handle);
  }

  /** Opened by the page, again and again where the connection is lost. That must not keep the session alive. */
  @Sse('devices')
  @PassiveRoute()
  devices(@CurrentUser() { id }: User): Observable<MessageEvent> {
    return this.presence.devicesOf(id).pipe(map((data) => ({ data })));
  }

  /** A handle of somebody else's session ends nothing: the registry looks whose it is. See 02-devices for a step-up before it. */
  @Post('devices/sign-out')
  @HttpCode(204)
  async signOut(@CurrentUser() { id }: User, @Body('handle') handle: unknown): Promise<void> {
    if (typeof handle === 'string') await this.sessions.revoke(id, handle);
  }
}
