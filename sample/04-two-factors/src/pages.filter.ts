import { type ArgumentsHost, Catch, type ExceptionFilter, type HttpException } from '@nestjs/common';
import type { Request, Response } from 'express';
import {
  LoginFailedException,
  LoginIncompleteException,
  MalformedLoginException,
  UnauthenticatedException,
} from 'nestjs-session-auth';
import { TooManyAttemptsException } from './attempts.js';
import { loginPage, problemPage } from './views.js';

/** Shows people a page where programs would get a JSON error. */
@Catch(
  UnauthenticatedException,
  LoginIncompleteException,
  LoginFailedException,
  MalformedLoginException,
  TooManyAttemptsException,
)
export class PagesFilter implements ExceptionFilter<HttpException> {
  catch(error: HttpException, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<Request>();
    const response = host.switchToHttp().getResponse<Response>();
    if (error instanceof UnauthenticatedException) {
      response.redirect(303, error.reason ? `/login?reason=${error.reason}` : '/login');
    } else if (error instanceof LoginIncompleteException) {
      response.redirect(303, '/login/code');
    } else if (error instanceof TooManyAttemptsException) {
      response.status(429).send(problemPage(error.message));
    } else {
      const { username } = (request.body ?? {}) as Record<string, unknown>;
      const typed = typeof username === 'string' ? username : '';
      response.status(error.getStatus()).send(loginPage({ username: typed, error: error.message }));
    }
  }
}
