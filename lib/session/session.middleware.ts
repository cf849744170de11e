import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { commitBeforeFirstByte } from '../http/commit-gate.js';
import type { RouteMatcher } from '../http/route-matcher.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { ConnectedSession, type Refusal } from './connected-session.js';
import { RequestSession, requestSessionOf } from './request-session.js';
import { type Next, SessionCommit } from './session-commit.js';
import { SessionLoader } from './session-loader.js';
import type { SessionRuntime } from './session-runtime.js';

/**
 * A request from its cookie to its headers:
 *
 *     cookie -> verified id -> one GET -> req.session, req.user -> guards, handler -> commit -> headers
 *
 * `SessionAuthModule` mounts it before the middleware of all modules. What `main.ts` mounts by `app.use()` runs before
 * that, and sees nobody, unless `main.ts` mounts this before. Then the module's own mount does nothing.
 *
 * @example
 * ```ts
 * const app = await NestFactory.create(AppModule);
 * app.use(app.get(SessionMiddleware).use);
 * app.use((request: Request, response: Response, next: NextFunction) => {
 *   response.locals.user = request.user; // For templates.
 *   next();
 * });
 * ```
 */
export class SessionMiddleware {
  private readonly loader: SessionLoader;
  /** Stands for the response to a request that opens a connection: nothing can be sent by it. */
  private readonly noResponse = new ServerResponse(new IncomingMessage(new Socket()));

  /** @internal It needs nothing but a Node request and response. */
  constructor(
    private readonly runtime: SessionRuntime,
    private readonly isExcluded: RouteMatcher,
  ) {
    this.loader = new SessionLoader(runtime);
  }

  /** Middleware for `app.use()`. It runs once for a request, however often it is mounted. */
  readonly use = (request: SessionRequest, response: SessionResponse, next: Next): void => {
    const { cookies, repository } = this.runtime;
    const hasSession = requestSessionOf(request) !== undefined || Boolean(request.session);
    if (hasSession || this.isExcluded(request) || !cookies.covers(request)) {
      next();
      return;
    }
    const presented = cookies.read(request);
    const [shown = this.#oldCookie(request)] = presented;
    const refusal = shown && this.runtime.crossSite.ofRequest(request, shown.handle);
    if (refusal !== undefined) {
      next(refusal);
      return;
    }
    const session = new RequestSession(request, response, this.runtime);
    this.runtime.equip(request, response);
    commitBeforeFirstByte(response, new SessionCommit(this.runtime, session, request, next));
    if (shown === undefined && !repository.disconnected) {
      session.begin();
      next();
      return;
    }
    void this.loader.load(request, session, presented).then(() => {
      next();
    }, next);
  };

  /**
   * Begins a session on a request that has none, whatever its path.
   *
   * @internal
   */
  begin(request: SessionRequest, response: SessionResponse): RequestSession {
    const session = new RequestSession(request, response, this.runtime);
    session.begin();
    return session;
  }

  /**
   * What a request's session cookie names whose signature holds, if there is one and the path has sessions. There is no
   * handle where that is a cookie of the stack that is being moved from.
   *
   * @internal
   */
  signedCookie(request: SessionRequest): { readonly handle?: string } | undefined {
    const { cookies } = this.runtime;
    if (this.isExcluded(request) || !cookies.covers(request)) {
      return undefined;
    }
    return cookies.read(request)[0] ?? this.#oldCookie(request);
  }

  /**
   * Reads the session of a request that opens a connection, as that of any request. `undefined` where the path has no
   * session.
   *
   * @internal
   */
  async connect(request: SessionRequest, refusal: Refusal): Promise<ConnectedSession | undefined> {
    const { cookies, repository } = this.runtime;
    if (this.isExcluded(request) || !cookies.covers(request)) {
      return undefined;
    }
    const presented = cookies.read(request);
    const session = new ConnectedSession(request, this.noResponse, this.runtime, refusal);
    this.runtime.equip(request, this.noResponse);
    if (presented.length === 0 && this.#oldCookie(request) === undefined && !repository.disconnected) {
      session.begin();
    } else {
      await this.loader.load(request, session, presented);
      session.settle();
    }
    return session;
  }

  #oldCookie(request: SessionRequest): { readonly handle?: undefined } | undefined {
    return this.runtime.adoption?.cookies.read(request) && {};
  }
}
