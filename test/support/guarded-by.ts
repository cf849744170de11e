import { Controller, HttpCode, Post, Req, type Type, UseGuards } from '@nestjs/common';
import passport from 'passport';
import { LoginGuard, type LoginGuardOptions, type SessionRequest } from '../../lib/index.js';
import { TestApplication, type TestApplicationOptions } from './application.js';

type Running = passport.StrategyCreated<passport.Strategy>;

/** A strategy that does one thing only. */
export function strategy(
  name: string,
  authenticate: (this: Running, request: SessionRequest, options: LoginGuardOptions) => unknown,
) {
  class OneThing extends passport.Strategy {
    override readonly name = name;
    override authenticate(this: Running, request: unknown, options: unknown): unknown {
      return authenticate.call(this, request as SessionRequest, options as LoginGuardOptions);
    }
  }
  return { provide: name, useFactory: () => new OneThing() };
}

/** An application that has this guard at POST /try, which responds with the user. */
export function guardedWith(guard: Type | (new () => object), more: TestApplicationOptions = {}) {
  @Controller('try')
  class TryController {
    @Post()
    @HttpCode(200)
    @UseGuards(guard)
    logIn(@Req() request: SessionRequest) {
      return request.user ?? { nobody: true };
    }
  }
  return TestApplication.start({ ...more, controllers: [TryController, ...(more.controllers ?? [])] });
}

/** An application that logs in at POST /try by these strategies. */
export function guardedBy(names: string | string[], options?: LoginGuardOptions, more?: TestApplicationOptions) {
  return guardedWith(LoginGuard(names, options), more);
}
