import { Inject, Injectable } from '@nestjs/common';
import { wsException } from '../access/refusal.js';
import type { ConnectionEnd } from './watched-session.js';
import { SessionConnections } from './session-connections.js';
import { CrossSiteRefusal } from '../cross-site/cross-site-refusal.js';
import type { SessionRequest } from '../http/session-request.js';
import type { Refusal } from '../session/connected-session.js';
import { requestSessionOf } from '../session/request-session.js';
import { SessionMiddleware } from '../session/session.middleware.js';
import { type ConnectionRefusal, type GatewayAddress, GatewayGuards } from './gateway-guards.js';

/** How long a client may take to close its side, in milliseconds. Then it is cut off. */
export const CLOSES_WITHIN = 1_000;

/** What the servers of gateways need of the application, whatever they speak. */
@Injectable()
export class GatewayHandshakes {
  constructor(
    @Inject(SessionMiddleware) private readonly middleware: SessionMiddleware,
    @Inject(SessionConnections) private readonly connections: SessionConnections,
    @Inject(GatewayGuards) private readonly guards: GatewayGuards,
    @Inject(CrossSiteRefusal) private readonly crossSite: CrossSiteRefusal,
  ) {}

  /** The body of a 403, as JSON, where the request comes from another site and shows a session cookie. */
  crossSiteRefusal(request: SessionRequest): string | undefined {
    const shown = this.middleware.signedCookie(request);
    const refusal = shown && this.crossSite.ofHandshake(request, shown.handle);
    return refusal && JSON.stringify(refusal.getResponse());
  }

  /** Reads the session of the request that opens a connection. Resolves with false where the path has no sessions. */
  async read(request: SessionRequest, refusal: Refusal = wsException): Promise<boolean> {
    return (await this.middleware.connect(request, refusal)) !== undefined;
  }

  /** Why a client is not let in there; `undefined` where it is. */
  whyRefused(address: GatewayAddress, client: object): Promise<ConnectionRefusal | undefined> {
    return this.guards.whyRefused(address, client);
  }

  /** Has an open connection closed with its session. Returns a function that releases it. */
  register(request: SessionRequest, close: (end: ConnectionEnd) => void): () => void {
    const hasSession = requestSessionOf(request) !== undefined; // A path may be excluded.
    return hasSession ? this.connections.register(request, close) : () => undefined;
  }
}
