import type { Server } from 'node:http';
import { Server as TlsServer } from 'node:tls';
import {
  ConfigurableModuleBuilder,
  Inject,
  Logger,
  type MiddlewareConsumer,
  Module,
  type NestModule,
  type OnApplicationBootstrap,
  type OnApplicationShutdown,
} from '@nestjs/common';
import { type AbstractHttpAdapter, ApplicationConfig, DiscoveryModule, HttpAdapterHost } from '@nestjs/core';
import type { Store } from 'express-session';
import { SessionEvents } from './events/session-events.js';
import { logStoreErrors } from './events/store-error-log.js';
import { lifetimePolicy } from './lifetime/lifetime.policy.js';
import { equip, passportMethods, type PassportRequestMethods } from './login/passport-request.js';
import { SessionAuthService } from './login/session-auth.service.js';
import { ApplicationPassport } from './passport/application-passport.js';
import { SessionRegistry } from './registry/session.registry.js';
import { UserSerializers } from './serializer/user-serializers.js';
import { SessionAuthConfigurationError } from './session-auth.errors.js';
import type { ResolvedSessionAuthOptions, SessionAuthOptions } from './session-auth.options.js';
import { createKeeper, createStore, openConnection } from './session-auth.providers.js';
import { SESSION_AUTH_OPTIONS } from './session-auth.tokens.js';
import { resolveOptions } from './session-auth.validation.js';
import { CLOCK, type Clock, systemClock } from './session/clock.js';
import { prepareResponse } from './session/commit-first.js';
import type { LifetimePolicy } from './session/lifetime-policy.js';
import { prepareRequest, SESSION_PROPERTIES } from './session/request-properties.js';
import { type RouteMatcher, routeMatcher } from './session/route-matcher.js';
import { SessionCookies } from './session/session-cookies.js';
import { SessionKeeper } from './session/session-keeper.js';
import { SessionMiddleware } from './session/session.middleware.js';
import { SESSION_STORE } from './session/session-store.js';

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<SessionAuthOptions>()
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createSessionAuthOptions')
  .setExtras({}, (definition) => ({ ...definition, global: true }))
  .build();

/** What the class of `forRootAsync({ useClass })` and `useExisting` implements. */
export interface SessionAuthOptionsFactory {
  createSessionAuthOptions(): SessionAuthOptions | Promise<SessionAuthOptions>;
}

const CONNECTION = Symbol('nestjs-session-auth:connection');
const LIFETIME = Symbol('nestjs-session-auth:lifetime');

/** The applications that have the module, by what each has one of. */
const applications = new WeakSet<HttpAdapterHost>();

/**
 * Cookie-session login by one import.
 *
 * ```ts
 * @Module({
 *   imports: [
 *     SessionAuthModule.forRoot({
 *       secret: process.env.SESSION_SECRET,
 *       redis: { url: process.env.REDIS_URL },
 *     }),
 *   ],
 *   providers: [AppUserSerializer, LocalStrategy],
 * })
 * export class AppModule {}
 * ```
 *
 * Global, to be imported once, and mounted for every route before any other module's middleware, whatever the import
 * order. `forRootAsync` takes `imports`, `inject` and one of `useFactory`, `useClass` and `useExisting`; classes implement
 * `createSessionAuthOptions()`.
 *
 * @throws SessionAuthConfigurationError while the application boots, when an option or provider is wrong or missing
 */
@Module({
  imports: [DiscoveryModule],
  providers: [
    {
      provide: SESSION_AUTH_OPTIONS,
      inject: [MODULE_OPTIONS_TOKEN],
      useFactory: (options: SessionAuthOptions) => resolveOptions(options, process.env['NODE_ENV']),
    },
    { provide: CLOCK, useValue: systemClock },
    {
      provide: LIFETIME,
      inject: [SESSION_AUTH_OPTIONS],
      useFactory: ({ lifetime }: ResolvedSessionAuthOptions) => lifetimePolicy(lifetime),
    },
    { provide: CONNECTION, inject: [SESSION_AUTH_OPTIONS], useFactory: openConnection },
    {
      provide: SESSION_STORE,
      inject: [SESSION_AUTH_OPTIONS, LIFETIME, CLOCK, SessionEvents, CONNECTION],
      useFactory: createStore,
    },
    {
      provide: SessionKeeper,
      inject: [SESSION_AUTH_OPTIONS, LIFETIME, CLOCK, SessionEvents, SESSION_STORE],
      useFactory: createKeeper,
    },
    SessionEvents,
    UserSerializers,
    ApplicationPassport,
    SessionAuthService,
    SessionRegistry,
  ],
  exports: [
    SESSION_AUTH_OPTIONS,
    SESSION_STORE,
    CLOCK,
    SessionKeeper,
    SessionEvents,
    ApplicationPassport,
    SessionAuthService,
    SessionRegistry,
  ],
})
export class SessionAuthModule
  extends ConfigurableModuleClass
  implements NestModule, OnApplicationBootstrap, OnApplicationShutdown
{
  private readonly logger = new Logger(SessionAuthModule.name);

  constructor(
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
    @Inject(SESSION_STORE) private readonly store: Store,
    @Inject(SessionKeeper) private readonly keeper: SessionKeeper,
    @Inject(LIFETIME) private readonly lifetime: LifetimePolicy,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(UserSerializers) private readonly users: UserSerializers,
    @Inject(SessionAuthService) private readonly service: SessionAuthService,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(ApplicationConfig) private readonly application: ApplicationConfig,
  ) {
    super();
    for (const warning of options.warnings) {
      this.logger.warn(warning);
    }
    logStoreErrors(events, this.logger);
  }

  /**
   * Mounts the middleware. Nest calls every module's `configure()` before it mounts the middleware of any, so what goes
   * straight to the adapter here comes first, whatever the import order (nest-session#276).
   */
  configure(_consumer: MiddlewareConsumer): void {
    if (applications.has(this.host)) {
      throw new SessionAuthConfigurationError(
        'imported_twice',
        'SessionAuthModule is imported twice, and each would have sessions of its own. It is global: import ' +
          'SessionAuthModule.forRoot() once, in the root module, and nothing in the others.',
      );
    }
    applications.add(this.host);
    const isExcluded = routeMatcher(this.options.exclude, this.application.getGlobalPrefix());
    const methods = passportMethods(this.service);
    const { httpAdapter } = this.host;
    if (httpAdapter.getType() === 'express') {
      // Each Express application has a prototype of its own for its requests: so many properties less to set on every one.
      // What has to be each request's own is put there before Express gives it that prototype: see prepareResponse().
      const { request } = httpAdapter.getInstance<{ request: object }>();
      Object.defineProperties(Object.assign(request, methods), SESSION_PROPERTIES);
      (httpAdapter.getHttpServer() as Server).prependListener('request', (request, response) => {
        prepareRequest(request);
        prepareResponse(response);
      });
    }
    httpAdapter.use(this.createMiddleware(isExcluded, methods).use);
  }

  /** A Secure cookie and no TLS in sight: nobody will be able to log in (expressjs/session#281). */
  onApplicationBootstrap(): void {
    // Undefined in an application context, which serves nothing.
    const httpAdapter = this.host.httpAdapter as AbstractHttpAdapter | undefined;
    if (this.options.cookie.secure !== true || httpAdapter?.getType() !== 'express') {
      return;
    }
    const express = httpAdapter.getInstance<{ get(setting: string): unknown }>();
    if (!(httpAdapter.getHttpServer() instanceof TlsServer) && express.get('trust proxy') === false) {
      this.logger.warn(
        'The session cookie is Secure, but this server speaks plain HTTP and trusts no proxy: logins will fail with ' +
          'cookie_not_sendable. Behind a proxy that ends TLS: app.set("trust proxy", 1).',
      );
    }
  }

  onApplicationShutdown(): void {
    this.events.close();
  }

  private createMiddleware(isExcluded: RouteMatcher, methods: PassportRequestMethods): SessionMiddleware {
    const { options, lifetime, clock, users, logger, keeper, store: expressStore } = this;
    const logged = new Set<string>();
    return new SessionMiddleware(
      {
        keeper,
        expressStore,
        cookies: new SessionCookies(options.secrets, options.cookie),
        lifetime,
        clock,
        users,
        logger,
        logOnce: (message) => {
          if (!logged.has(message)) {
            logged.add(message);
            logger.error(message);
          }
        },
        options,
        equip: (request) => {
          equip(request, methods);
        },
      },
      isExcluded,
    );
  }
}
