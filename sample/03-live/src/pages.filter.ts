import { type ArgumentsHost, Catch, type ExceptionFilter, type HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import { LoginFailedException, MalformedLoginException, UnauthenticatedException } from 'nestjs-session-auth';
import { loginPage } from './views.js';

/** Shows people a page where programs would get a JSON error. */
@Catch(UnauthenticatedException, LoginFailedException, MalformedLoginException)
export class PagesFilter implements ExceptionFilter<HttpException> {
  catch(error: HttpException, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    if (error instanceof UnauthenticatedException) {
      response.redirect(303, error.reason ? `/login?reason=${error.reason}` : '/login');
    } else {
      const { username } = (request.body ?? {}) as Record<string, unknown>;
      const typed = typeof username === 'string' ? username : '';
      response.status(error.getStatus()).send(loginPage({ username: typed, error: error.message }));
    }
  }
}
