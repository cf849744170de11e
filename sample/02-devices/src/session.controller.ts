import { Controller, Get, Req } from '@nestjs/common';
import type { Request } from 'express';
import { PassiveRoute, SessionAuthService } from 'nestjs-session-auth';

@Controller('session')
export class SessionController {
  constructor(private readonly auth: SessionAuthService) {}

  /** How much time the session has left. The page asks again and again, and that must not keep the session alive. */
  @PassiveRoute()
  @Get()
  remaining(@Req() request: Request): { expiresAt: Date; secondsLeft: number } {
    const { expiresAt } = this.auth.current(request);
    return { expiresAt, secondsLeft: Math.max(0, Math.round((expiresAt.getTime() - Date.now()) / 1000)) };
  }
}
