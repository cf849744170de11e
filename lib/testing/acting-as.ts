import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import type { INestApplicationContext } from '@nestjs/common';
import type { SessionContents } from '../http/session-contents.js';
import type { SessionRequest } from '../http/session-request.js';
import type { LogInOptions } from '../login/log-in-options.js';
import { SessionAuthService } from '../login/session-auth.service.js';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { SessionMiddleware } from '../session/session.middleware.js';

/**
 * Who `actingAs(app, user)` acts as, besides the user.
 *
 * @example
 * ```ts
 * const hourAgo: ActingAsOptions = { method: 'password', at: new Date(Date.now() - 3_600_000) };
 * const withCart: ActingAsOptions = { data: { cart: ['tea'] } };
 * ```
 */
export interface ActingAsOptions extends Pick<LogInOptions, 'method' | 'remember'> {
  /**
   * When the user has logged in and proved who they are, by the application's `SESSION_CLOCK`. They have been active ever
   * since, so that only the absolute limit can be over. Default: now.
   */
  at?: Date;
  /** What the application keeps in `req.session`. Default: nothing. */
  data?: SessionContents;
}

/**
 * Logs a user in for a test, without a strategy and without a request: on a session in the application's own store, as
 * `SessionAuthService.logIn()` opens it, with its events, its limits and its entry among the user's sessions. The
 * application must be initialised, and need not listen.
 *
 * @param user as the application's `UserSerializer` takes it
 * @returns a `Cookie` header's value: the session cookie and, with the option `knownDevices`, that of the browser
 * @throws SessionAuthConfigurationError (code `not_initialised`) before `app.init()`
 * @throws UserNotSerializableException (code `user_not_serializable`) when no serializer takes the user
 * @throws TooManySessionsException, SessionStoreUnavailableException as `logIn()` does
 * @throws TypeError when `at` is no date, or later than the application's clock
 *
 * @example
 * ```ts
 * async function testClosing(app: INestApplication, ada: User) {
 *   const cookie = await actingAs(app, ada, { method: 'password' });
 *   await request(app.getHttpServer()).delete('/account').set('Cookie', cookie).expect(200);
 * }
 * ```
 */
export async function actingAs(
  app: INestApplicationContext,
  user: unknown,
  { method, at, remember, data = {} }: ActingAsOptions = {},
): Promise<string> {
  const loggedInAt = at && timeOf(at, app.get<Clock>(SESSION_CLOCK, { strict: false }));
  const { request, response } = newExchange();
  const session = app.get(SessionMiddleware, { strict: false }).begin(request, response);
  Object.assign(request.session ?? {}, data);
  const keep = Object.keys(data);
  await app.get(SessionAuthService, { strict: false }).logIn(request, user, { method, remember, keep });
  if (loggedInAt !== undefined) {
    await session.amend(({ login }) => login && { createdAt: loggedInAt, login: { ...login, at: loggedInAt } });
  }
  session.writeHeaders();
  return cookiesIn(response);
}

function timeOf(at: Date, clock: Clock): number {
  const time = at.getTime();
  if (Number.isNaN(time) || time > clock.now()) {
    throw new TypeError(
      'actingAs: "at" is no date, or is later than it is by SESSION_CLOCK. As in new Date(clock.now() - 60_000).',
    );
  }
  return time;
}

/** A request that nobody has sent, over HTTPS, so that a Secure cookie can be set. */
function newExchange(): { request: SessionRequest; response: ServerResponse } {
  const socket = Object.assign(new Socket(), { encrypted: true });
  const request: SessionRequest = new IncomingMessage(socket);
  Object.assign(request, { method: 'GET', url: '/' });
  request.headers = { host: 'localhost', 'user-agent': 'nestjs-session-auth/testing' };
  return { request, response: new ServerResponse(request) };
}

/** What a browser sends after this response. */
function cookiesIn(response: ServerResponse): string {
  const headers = [response.getHeader('Set-Cookie') ?? []].flat().map(String);
  return headers.map((header) => header.split(';', 1)[0]).join('; ');
}
