import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { crossSiteMarks } from '../access/allow-cross-site.js';
import { findRequest } from '../access/carrier.js';
import { nodeRequest } from '../http/session-request.js';
import { connectedSession } from '../session/connected-session.js';
import { requestSessionOf } from '../session/request-session.js';
import { SessionMiddleware } from '../session/session.middleware.js';
import { CrossSiteRefusal } from './cross-site-refusal.js';

/** GraphQL resolvers take (root, args, context, info). */
const GRAPHQL_INFO = 3;

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
    if (found === undefined) {
      this.#checkUnknown(context);
      return true;
    }
    const request = nodeRequest(found);
    if (!this.refusal.concerns(request)) {
      return true;
    }
    const session = requestSessionOf(request);
    if (connectedSession(session) !== undefined) {
      return true; // Its handshake has been asked.
    }
    const { isOpen, logsIn } = crossSiteMarks(context.getClass(), context.getHandler());
    session?.openToOtherSites(isOpen);
    const shown = this.middleware.signedCookie(request);
    if (!isOpen && (logsIn || shown !== undefined)) {
      throw this.refusal.refuse(request, nameOf(context), shown?.handle);
    }
    return true;
  }

  /** A context of GraphQL that the application makes itself may not lead to the request. */
  #checkUnknown(context: ExecutionContext): void {
    if (isMutation(context) && !crossSiteMarks(context.getClass(), context.getHandler()).isOpen) {
      this.refusal.refuseUnknown(nameOf(context));
    }
  }
}

function isMutation(context: ExecutionContext): boolean {
  if (context.getType<'http' | 'graphql'>() !== 'graphql') {
    return false;
  }
  const info = context.getArgByIndex<{ operation?: { operation?: unknown } } | undefined>(GRAPHQL_INFO);
  return info?.operation?.operation === 'mutation';
}

function nameOf(context: ExecutionContext): string {
  return `${context.getClass().name}.${context.getHandler().name}`;
}
