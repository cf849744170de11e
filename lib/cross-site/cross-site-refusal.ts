import { Inject, Injectable, Logger } from '@nestjs/common';
import { SessionEvents } from '../events/session-events.js';
import { isCrossSite, isSafe } from '../http/request-origin.js';
import { isSecure, type SessionRequest } from '../http/session-request.js';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { CrossSiteRequestException, SessionUnavailableException } from '../session-auth.errors.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import type { CrossSiteChecks } from '../session/session-runtime.js';
import { NestRoutes } from './nest-routes.js';

/** An origin is not longer. What else stands there is cut. */
const LONGEST_ORIGIN = 256;

/** Keeps other sites from acting in the name of who is logged in, and from logging anybody in. */
@Injectable()
export class CrossSiteRefusal implements CrossSiteChecks {
  readonly #logger = new Logger('SessionAuthModule');
  /** The routes that have been logged. */
  readonly #logged = new Set<string>();

  constructor(
    @Inject(SESSION_AUTH_OPTIONS)
    private readonly options: Pick<ResolvedSessionAuthOptions, 'crossSite' | 'trustedOrigins'>,
    @Inject(NestRoutes) private readonly routes: NestRoutes,
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SESSION_CLOCK) private readonly clock: Clock,
  ) {}

  /** Whether a request comes from another site and may change something. */
  concerns(request: SessionRequest): boolean {
    return !isSafe(request) && this.#isFromElsewhere(request);
  }

  /**
   * Why a request that shows a session is refused, before anything else is done with it. `undefined` where it is not, or
   * not here: `CrossSiteGuard` decides about routes that may be open, which knows the very one.
   */
  ofRequest(request: SessionRequest, handle?: string): CrossSiteRequestException | undefined {
    if (!this.concerns(request)) {
      return undefined;
    }
    const { mayBeOpen, isGraphQL = false, name } = this.routes.find(request);
    if (mayBeOpen) {
      return undefined;
    }
    const refusal = this.refuse(request, name, handle);
    return isGraphQL ? asGraphQL(refusal) : refusal;
  }

  /**
   * Why the handshake of a connection that shows a session is refused, whatever its method; `undefined` where it is not.
   * Whatever its page does, a browser sends a handshake to other sites, with the cookies, and lets the page read what it
   * receives.
   */
  ofHandshake(request: SessionRequest, handle?: string): CrossSiteRequestException | undefined {
    return this.#isFromElsewhere(request) ? this.refuse(request, 'The handshake of a connection', handle) : undefined;
  }

  /**
   * Refuses a mutation whose request cannot be found, where the middleware has left the decision to the guard.
   *
   * @throws SessionUnavailableException that it may come from another site, and nobody can tell
   */
  refuseUnknown(field: string): void {
    if (this.options.crossSite === 'refuse' && this.routes.hasOpenFields) {
      if (!this.#logged.has(field)) {
        this.#logged.add(field);
        this.#logger.error(
          `${field}: it cannot be told whether this mutation comes from another site (500, code session_unavailable). ` +
            'Have the context of GraphQL lead to the request: at req, request or reply.',
        );
      }
      throw new SessionUnavailableException();
    }
  }

  /**
   * Reports a refusal, and logs once for each route what can be done.
   *
   * @param route what was asked for
   * @param handle of the session that the request shows
   */
  refuse(request: SessionRequest, route: string, handle?: string): CrossSiteRequestException {
    const { origin = '' } = request.headers;
    if (!this.#logged.has(route)) {
      this.#logged.add(route);
      this.#logger.warn(adviceFor(route));
    }
    const event = { type: 'cross-site-refused', route, origin: origin.slice(0, LONGEST_ORIGIN) } as const;
    this.events.emit({ ...event, ...(handle !== undefined && { handle }) }, this.clock.now());
    return new CrossSiteRequestException();
  }

  #isFromElsewhere(request: SessionRequest): boolean {
    const { crossSite, trustedOrigins } = this.options;
    const { headers } = request;
    return crossSite === 'refuse' && isCrossSite({ headers, isSecure: isSecure(request) }, trustedOrigins);
  }
}

/** Has its error where clients of GraphQL look for it, too. */
function asGraphQL(refusal: CrossSiteRequestException): CrossSiteRequestException {
  const { message, extensions } = refusal as CrossSiteRequestException & { extensions: object };
  const body = { errors: [{ message, extensions }] };
  return Object.assign(new CrossSiteRequestException(body), { statusCode: refusal.getStatus() }); // Mercurius reads that.
}

function adviceFor(route: string): string {
  return (
    `${route}: a request from another site was refused (403, code cross_site_request). If a page of yours has sent it, ` +
    'name its origin in the option "trustedOrigins". If any site may send such requests, mark the route ' +
    '@AllowCrossSite(), or give its LoginGuard the option crossSite: true. If a proxy changes the header Host, have it ' +
    'leave that as it is.'
  );
}
