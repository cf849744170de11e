import { type FactoryProvider, Logger } from '@nestjs/common';
import { ApplicationConfig, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import type { Store } from 'express-session';
import { DeviceCookies } from '../http/device-cookies.js';
import { type RouteMatcher, routeMatcher } from '../http/route-matcher.js';
import { OldCookies } from '../http/old-cookies.js';
import { SessionCookies } from '../http/session-cookies.js';
import { CrossSiteRefusal } from '../cross-site/cross-site-refusal.js';
import { addPassportMethods, passportMethods, type PassportRequestMethods } from '../login/passport-request.js';
import { SessionAuthService } from '../login/session-auth.service.js';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { rotationKeys } from '../model/rotation.js';
import { deviceOf } from '../model/session-info.js';
import { UserSerializers } from '../serializer/user-serializers.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { SessionMiddleware } from '../session/session.middleware.js';
import { SessionRepository } from '../session/session-repository.js';
import type { Adoption, SessionRuntime } from '../session/session-runtime.js';
import { OLD_SESSIONS, type OldSessions } from '../store/old-sessions.js';
import { SESSION_STORE } from '../store/session-store.js';
import { isFastify, keepOnFastify } from './fastify.js';
import { failLateOnFastify } from './fastify-late-errors.js';
import { versionSegments } from '../http/version-segments.js';

/** Token of {@link PassportRequestMethods}, which all requests of the application share. */
export const PASSPORT_METHODS = Symbol.for('nestjs-session-auth:passport-methods');

export const passportMethodsProvider: FactoryProvider<PassportRequestMethods> = {
  provide: PASSPORT_METHODS,
  inject: [SessionAuthService],
  useFactory: passportMethods,
};

export const middlewareProvider: FactoryProvider<SessionMiddleware> = {
  provide: SessionMiddleware,
  inject: [
    SESSION_AUTH_OPTIONS,
    SessionRepository,
    SESSION_STORE,
    SESSION_CLOCK,
    UserSerializers,
    PASSPORT_METHODS,
    ApplicationConfig,
    ModulesContainer,
    HttpAdapterHost,
    CrossSiteRefusal,
    OLD_SESSIONS,
  ],
  useFactory: createMiddleware,
};

function createMiddleware(
  options: ResolvedSessionAuthOptions,
  repository: SessionRepository,
  expressStore: Store,
  clock: Clock,
  users: UserSerializers,
  methods: PassportRequestMethods,
  application: ApplicationConfig,
  modules: ModulesContainer,
  host: HttpAdapterHost,
  crossSite: CrossSiteRefusal,
  oldSessions: OldSessions | null,
): SessionMiddleware {
  const logger = new Logger('SessionAuthModule');
  const logged = new Set<string>();
  const runtime: SessionRuntime = {
    repository,
    expressStore,
    cookies: new SessionCookies(options.secrets, options.cookie),
    lifetime: options.lifetime,
    rotationKeys: rotationKeys(options.secrets),
    devices: new DeviceCookies(options.secrets, options.cookie),
    clock,
    users,
    adoption: createAdoption(options, oldSessions, users),
    logger,
    crossSite,
    logOnce: (message, level = 'error') => {
      if (!logged.has(message)) {
        logged.add(message);
        logger[level](message);
      }
    },
    options,
    equip: (request, response) => {
      addPassportMethods(request, methods);
      if (isFastify(host.httpAdapter)) {
        keepOnFastify(request, response, methods);
      }
    },
    failLate: (error, request, response, next) => {
      if (isFastify(host.httpAdapter)) {
        failLateOnFastify(host.httpAdapter, error, request, response, next);
      } else {
        next(error);
      }
    },
  };
  // `main.ts` may set the prefix and the versions after it has mounted the middleware.
  let isExcluded: RouteMatcher | undefined;
  return new SessionMiddleware(runtime, (request) => {
    isExcluded ??= routeMatcher(options.exclude, application.getGlobalPrefix(), versionSegments(application, modules));
    return isExcluded(request);
  });
}

function createAdoption(
  { adopt, device }: ResolvedSessionAuthOptions,
  sessions: OldSessions | null,
  users: UserSerializers,
): Adoption | undefined {
  if (adopt === undefined || sessions === null) {
    return undefined;
  }
  return {
    cookies: new OldCookies(adopt),
    sessions,
    restore: async (payload, request) => {
      const found = await users.adopt(payload, request);
      const shown = deviceOf(device, request);
      return (
        found && {
          user: found.user,
          passport: found.passport,
          login: {
            userId: found.userId,
            ...(found.kind !== undefined && { kind: found.kind }),
            ...(found.stamp !== undefined && { stamp: found.stamp }),
            ...(shown && { device: shown }),
          },
        }
      );
    },
  };
}
