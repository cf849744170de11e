import { type ArgumentsHost, Catch, type HttpException } from '@nestjs/common';
import { BaseExceptionFilter } from '@nestjs/core';
import type { Request, Response } from 'express';
import { LoginFailedException, MalformedLoginException, UnauthenticatedException } from 'nestjs-session-auth';
import { loginPage } from './views.js';

declare module 'express-session' {
  interface SessionData {
    /** Where to go after the login: a path on this site. */
    returnTo?: string;
  }
}

/** Did a program rather than a browser's form or link ask? */
export const wantsJson = (request: Request): boolean =>
  Boolean(request.is('json')) || request.accepts(['html', 'json']) === 'json';

/** Shows people the login page where programs get Nest's JSON error. */
@Catch(UnauthenticatedException, LoginFailedException, MalformedLoginException)
export class LoginPageFilter extends BaseExceptionFilter {
  override catch(error: HttpException, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    if (wantsJson(request)) {
      super.catch(error, host);
    } else if (error instanceof UnauthenticatedException) {
      if (request.method === 'GET' && isWorthKeeping(request.originalUrl)) {
        request.session.returnTo = request.originalUrl;
      }
      response.redirect(303, '/login');
    } else {
      const { username } = (request.body ?? {}) as { username?: unknown };
      const page = loginPage(typeof username === 'string' ? username : '', error.message);
      response.status(error.getStatus()).send(page);
    }
  }
}

/** Anybody can have an address stored, without a login: a longer one is not. */
const LONGEST_RETURN = 512;

/** `//host` and `/\host` are other sites to a browser, and a request line may hold a whole URL. */
const isWorthKeeping = (url: string): boolean => url.length <= LONGEST_RETURN && /^\/[^/\\]/.test(url);
