import { Controller, Get, HttpCode, Post, Req, UseGuards } from '@nestjs/common';
import { HealthCheck, HealthCheckService, type HealthCheckResult } from '@nestjs/terminus';
import type { FastifyRequest } from 'fastify';
import { CurrentUser, LoginGuard, SessionAuthService, SessionGuard } from 'nestjs-session-auth';
import { SessionHealthIndicator } from 'nestjs-session-auth/health';
import type { User } from './user';

@Controller()
export class AuthController {
  constructor(
    private readonly sessionAuth: SessionAuthService,
    private readonly health: HealthCheckService,
    private readonly sessions: SessionHealthIndicator,
  ) {}

  @Post('login')
  @HttpCode(200)
  @UseGuards(LoginGuard('local'))
  logIn(@CurrentUser() user: User): User {
    return user;
  }

  @Get('me')
  @UseGuards(SessionGuard)
  me(@Req() { user }: FastifyRequest): Express.User | undefined {
    return user;
  }

  @Post('logout')
  @HttpCode(204)
  async logOut(@Req() request: FastifyRequest): Promise<void> {
    await this.sessionAuth.logOut(request);
  }

  @Get('health')
  @HealthCheck()
  check(): Promise<HealthCheckResult> {
    return this.health.check([() => this.sessions.isHealthy('sessions')]);
  }
}
