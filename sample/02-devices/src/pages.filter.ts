import { type ArgumentsHost, Catch, type ExceptionFilter, type HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import {
  FreshLoginRequiredException,
  LoginFailedException,
  MalformedLoginException,
  UnauthenticatedException,
} from 'nestjs-session-auth';
import { loginPage } from './views.js';

/** Shows people a page where programs would get a JSON error. */
@Catch(UnauthenticatedException, FreshLoginRequiredException, LoginFailedException, MalformedLoginException)
export class PagesFilter implements ExceptionFilter<HttpException> {
  catch(error: HttpException, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    if (error instanceof UnauthenticatedException) {
      response.redirect(303, error.reason ? `/login?reason=${error.reason}` : '/login');
    } else if (error instanceof FreshLoginRequiredException) {
      response.redirect(303, '/confirm');
    } else {
      const { username, remember } = (request.body ?? {}) as Record<string, unknown>;
      const typed = { username: typeof username === 'string' ? username : '', remember: remember !== undefined };
      response.status(error.getStatus()).send(loginPage({ ...typed, error: error.message }));
    }
  }
}
