import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { crossSiteMarks } from '../access/allow-cross-site.js';
import { findRequest } from '../access/carrier.js';
import { nodeRequest } from '../http/session-request.js';
import { connectedSession } from '../session/connected-session.js';
import { requestSessionOf } from '../session/request-session.js';
import { SessionMiddleware } from '../session/session.middleware.js';
import { CrossSiteRefusal } from './cross-site-refusal.js';

/**
 * Refuses what the middleware has not: logins from other sites, and other sites' requests to what is not open to them
 * after all. It runs before all other guards.
 */
@Injectable()
export class CrossSiteGuard implements CanActivate {
  constructor(
    @Inject(CrossSiteRefusal) private readonly refusal: CrossSiteRefusal,
    @Inject(SessionMiddleware) private readonly middleware: SessionMiddleware,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  /** Puts it before the application's own guards. Nest reads their list when it creates the routes. */
  runFirst(): void {
    this.config.getGlobalGuards().unshift(this);
  }

  canActivate(context: ExecutionContext): boolean {
    const found = findRequest(context);
    const request = found && nodeRequest(found);
    if (request === undefined || !this.refusal.concerns(request)) {
      return true;
    }
    const session = requestSessionOf(request);
    if (connectedSession(session) !== undefined) {
      return true; // Its handshake has been asked.
    }
    const { isOpen, logsIn } = crossSiteMarks(context.getClass(), context.getHandler());
    session?.openToOtherSites(isOpen);
    const handle = this.middleware.signedHandle(request);
    if (!isOpen && (logsIn || handle !== undefined)) {
      throw this.refusal.refuse(request, `${context.getClass().name}.${context.getHandler().name}`, handle);
    }
    return true;
  }
}
