import { Inject, Injectable } from '@nestjs/common';
import { isSecure, type SessionRequest } from '../http/session-request.js';
import { isCrossSite } from './cross-site.js';
import { CrossSiteRequestException } from '../session-auth.errors.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { SessionMiddleware } from '../session/session.middleware.js';

/** Keeps other sites from acting in the name of who is logged in. */
@Injectable()
export class CrossSiteRefusal {
  constructor(
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: Pick<ResolvedSessionAuthOptions, 'trustedOrigins'>,
    @Inject(SessionMiddleware) private readonly middleware: Pick<SessionMiddleware, 'hasSignedCookie'>,
  ) {}

  /**
   * Why the handshake of a connection is refused, whatever its method; `undefined` where it is not. Whatever its page
   * does, a browser sends a handshake to other sites, with the cookies, and lets the page read what it receives.
   */
  ofHandshake(request: SessionRequest): CrossSiteRequestException | undefined {
    const from = { headers: request.headers, isSecure: isSecure(request) };
    const isRefused = isCrossSite(from, this.options.trustedOrigins) && this.middleware.hasSignedCookie(request);
    return isRefused ? new CrossSiteRequestException() : undefined;
  }
}
