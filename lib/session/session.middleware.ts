import { commitBeforeFirstByte } from '../http/commit-gate.js';
import type { RouteMatcher } from '../http/route-matcher.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { SessionNotSerializableException } from '../session-auth.errors.js';
import { RequestSession, requestSessionOf } from './request-session.js';
import { SessionLoader } from './session-loader.js';
import type { SessionRuntime } from './session-runtime.js';

/** Passes the request on, or an error to the application's error handling. */
type Next = (error?: unknown) => void;

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
    const session = new RequestSession(request, response, this.runtime);
    this.runtime.addPassportMethods(request);
    this.commitBeforeFirstByte(response, session, (error) => {
      this.runtime.failLate(error, request, response, next);
    });
    if (presented.length === 0 && !repository.disconnected) {
      session.begin();
      next();
      return;
    }
    void this.loader.load(request, session, presented).then(() => {
      next();
    }, next);
  };

  /** Who follows a redirect or receives a 200 finds the data saved. A save that fails is an error, not a 200. */
  private commitBeforeFirstByte(response: SessionResponse, session: RequestSession, failLate: Next): void {
    commitBeforeFirstByte(response, {
      commit: (isStreaming) => (isStreaming ? this.commitLate(session) : session.commit()),
      writeHeaders: () => {
        session.writeHeaders();
      },
      hasHeaders: () => session.hasHeaders,
      fail: (error) => {
        session.discard();
        if (error instanceof SessionNotSerializableException) {
          this.runtime.logger.error(error.message, error.cause);
        }
        failLate(error);
      },
      refuse: failLate,
    });
  }

  /**
   * The status has been sent. What a handler changes after a stream's first byte is still saved, but cannot fail the
   * response.
   */
  private commitLate(session: RequestSession): Promise<void> | undefined {
    const { record } = session;
    return session.commit()?.then(
      () => {
        if (session.record !== record) {
          this.runtime.logger.warn('A session was changed after the response had begun. It was saved, but late.');
        }
      },
      (error: unknown) => {
        this.runtime.logger.error('A session changed after the response had begun could not be saved.', error);
      },
    );
  }
}
