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
import { type AbstractHttpAdapter, DiscoveryModule, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import type { Store } from 'express-session';
import { END_FEED, SessionConnections } from './connections/session-connections.js';
import { CrossSiteGuard } from './cross-site/cross-site.guard.js';
import { CrossSiteRefusal } from './cross-site/cross-site-refusal.js';
import { NestRoutes } from './cross-site/nest-routes.js';
import { SessionEvents } from './events/session-events.js';
import { GatewayAdapterHook } from './connections/gateway-adapter.js';
import { GatewayGuards } from './connections/gateway-guards.js';
import { GatewayHandshakes } from './connections/gateway-handshakes.js';
import { GraphQLSubscriptionsHook } from './platform/graphql-subscriptions.js';
import { ResponseEnds } from './connections/response-ends.js';
import { logStoreErrors } from './events/store-error-log.js';
import type { PassportRequestMethods } from './login/passport-request.js';
import { SessionAuthService } from './login/session-auth.service.js';
import { STRATEGY_LOGIN, StrategyLogin } from './login/strategy-login.js';
import { MemorySessionStore } from './memory/memory-session-store.js';
import { type Clock, SESSION_CLOCK, systemClock } from './model/clock.js';
import { ApplicationPassport } from './passport/application-passport.js';
import { BootEnd, BootEndModule } from './platform/boot-end.js';
import { isExpress, prepareExpress } from './platform/express.js';
import { isFastify, mountOnFastify } from './platform/fastify.js';
import { middlewareProvider, PASSPORT_METHODS, passportMethodsProvider } from './platform/middleware-provider.js';
import { seesNoTls } from './platform/sees-no-tls.js';
import { SessionPolicy } from './policy/session-policy.js';
import { GivenConnection } from './redis/given-connection.js';
import { RedisConnection } from './redis/redis-connection.js';
import { RedisEndFeed } from './redis/redis-end-feed.js';
import { oldSessions } from './redis/redis-old-sessions.js';
import { loadRedis } from './redis/redis-package.js';
import { RedisSessionStore } from './redis/redis-session-store.js';
import { SessionRegistry } from './registry/session-registry.js';
import { UserSerializers } from './serializer/user-serializers.js';
import { SessionAuthConfigurationError } from './session-auth.errors.js';
import {
  type ResolvedSessionAuthOptions,
  SESSION_AUTH_OPTIONS,
  type SessionAuthOptions,
} from './session-auth.options.js';
import { SessionReporter } from './session/session-reporter.js';
import { SessionRepository } from './session/session-repository.js';
import { SessionMiddleware } from './session/session.middleware.js';
import type { EndFeed } from './store/end-feed.js';
import { ForeignStoreAdapter } from './store/foreign-store-adapter.js';
import { OLD_SESSIONS } from './store/old-sessions.js';
import { type AtomicSessionStore, SESSION_STORE } from './store/session-store.js';
import { resolveOptions } from './validation/options.js';

const { ConfigurableModuleClass, MODULE_OPTIONS_TOKEN } = new ConfigurableModuleBuilder<SessionAuthOptions>()
  .setClassMethodName('forRoot')
  .setFactoryMethodName('createSessionAuthOptions')
  .setExtras({}, (definition) => ({ ...definition, global: true }))
  .build();

/**
 * The class of `forRootAsync({ useClass })` and `useExisting`.
 *
 * @example
 * ```ts
 * @Injectable()
 * class SessionConfig implements SessionAuthOptionsFactory {
 *   createSessionAuthOptions() {
 *     return { secret: process.env.SESSION_SECRET, redis: { url: process.env.REDIS_URL } };
 *   }
 * }
 *
 * @Module({ imports: [SessionAuthModule.forRootAsync({ useClass: SessionConfig })] })
 * class AppModule {}
 * ```
 */
export interface SessionAuthOptionsFactory {
  createSessionAuthOptions(): SessionAuthOptions | Promise<SessionAuthOptions>;
}

type Connection = RedisConnection | GivenConnection;
const REDIS_CONNECTION = Symbol.for('nestjs-session-auth:redis-connection');

/**
 * Cookie-session login by one import.
 *
 * It is global: import it once, in the root module. Its middleware runs on every route before that of any other module,
 * whatever the import order. `forRootAsync` takes `imports`, `inject` and one of `useFactory`, `useClass` and
 * `useExisting`.
 *
 * @throws SessionAuthConfigurationError while the application boots, when an option or a provider is wrong or missing
 *
 * @example
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
 * class AppModule {}
 * ```
 */
@Module({
  imports: [DiscoveryModule, BootEndModule],
  providers: [
    {
      provide: SESSION_AUTH_OPTIONS,
      inject: [MODULE_OPTIONS_TOKEN],
      useFactory: (options: SessionAuthOptions) => resolveOptions(options, process.env['NODE_ENV']),
    },
    { provide: SESSION_CLOCK, useValue: systemClock },
    { provide: REDIS_CONNECTION, inject: [SESSION_AUTH_OPTIONS, BootEnd], useFactory: createConnection },
    {
      provide: SESSION_STORE,
      inject: [SESSION_AUTH_OPTIONS, SESSION_CLOCK, SessionEvents, REDIS_CONNECTION],
      useFactory: createStore,
    },
    {
      provide: SessionRepository,
      inject: [SESSION_AUTH_OPTIONS, SESSION_CLOCK, SessionEvents, SESSION_STORE],
      useFactory: createRepository,
    },
    { provide: OLD_SESSIONS, inject: [SESSION_AUTH_OPTIONS, SESSION_CLOCK, REDIS_CONNECTION], useFactory: oldSessions },
    SessionEvents,
    UserSerializers,
    ApplicationPassport,
    { provide: STRATEGY_LOGIN, useClass: StrategyLogin },
    SessionAuthService,
    SessionRegistry,
    SessionPolicy,
    { provide: END_FEED, inject: [SESSION_AUTH_OPTIONS, REDIS_CONNECTION], useFactory: createEndFeed },
    SessionConnections,
    passportMethodsProvider,
    middlewareProvider,
    CrossSiteGuard,
    CrossSiteRefusal,
    NestRoutes,
    GatewayGuards,
    GatewayHandshakes,
    GatewayAdapterHook,
    GraphQLSubscriptionsHook,
    ResponseEnds,
  ],
  exports: [
    SESSION_AUTH_OPTIONS,
    SESSION_STORE,
    SESSION_CLOCK,
    SessionRepository,
    SessionEvents,
    STRATEGY_LOGIN,
    SessionAuthService,
    SessionRegistry,
    SessionPolicy,
    SessionConnections,
    SessionMiddleware,
  ],
})
export class SessionAuthModule
  extends ConfigurableModuleClass
  implements NestModule, OnApplicationBootstrap, OnApplicationShutdown
{
  private readonly logger = new Logger(SessionAuthModule.name);

  /** @internal */
  constructor(
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
    @Inject(SessionEvents) private readonly events: SessionEvents,
    @Inject(SessionMiddleware) private readonly middleware: SessionMiddleware,
    @Inject(CrossSiteGuard) private readonly crossSiteGuard: CrossSiteGuard,
    @Inject(PASSPORT_METHODS) private readonly methods: PassportRequestMethods,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
  ) {
    super();
    for (const warning of options.warnings) {
      this.logger.warn(warning);
    }
    logStoreErrors(events, this.logger);
  }

  /**
   * Mounts the middleware. Nest calls every module's `configure()` before it mounts the middleware of any. So what is
   * mounted on the adapter here runs first, whatever the import order (nest-session#276).
   */
  configure(_consumer: MiddlewareConsumer): void {
    this.refuseSecondImport();
    this.crossSiteGuard.runFirst();
    const { httpAdapter } = this.host;
    if (isFastify(httpAdapter)) {
      mountOnFastify(httpAdapter, this.middleware.use, this.methods);
      return;
    }
    if (isExpress(httpAdapter)) {
      prepareExpress(httpAdapter, this.methods);
    }
    httpAdapter.use(this.middleware.use);
  }

  /** Warns of a Secure cookie without TLS in sight, which keeps everybody from logging in (expressjs/session#281). */
  onApplicationBootstrap(): void {
    // An application context, which serves nothing, has none.
    const httpAdapter = this.host.httpAdapter as AbstractHttpAdapter | null | undefined;
    const isSecure = this.options.cookie.secure === true;
    if (isSecure && httpAdapter && seesNoTls(httpAdapter)) {
      this.logger.warn(
        'The session cookie is Secure, but this server speaks plain HTTP and trusts no proxy: logins will fail with ' +
          'cookie_not_sendable. Behind a proxy that ends TLS: app.set("trust proxy", 1) on Express, the option ' +
          'trustProxy with the addresses of your proxies on Fastify (a number trusts nobody).',
      );
    }
  }

  onApplicationShutdown(): void {
    this.events.close();
  }

  private refuseSecondImport(): void {
    const imported = [...this.modules.values()].filter(({ metatype }) => metatype === SessionAuthModule);
    if (imported.length > 1) {
      throw new SessionAuthConfigurationError(
        'imported_twice',
        'SessionAuthModule is imported twice, and each would have sessions of its own. It is global: import ' +
          'SessionAuthModule.forRoot() once, in the root module, and nothing in the others.',
      );
    }
  }
}

/** The connection to Redis; `null` where sessions are stored elsewhere. The module's own opens at the end of the boot. */
async function createConnection(
  { redis, redisTimeout }: ResolvedSessionAuthOptions,
  boot: BootEnd,
): Promise<Connection | null> {
  if (redis === undefined) {
    return null;
  }
  if (redis.client !== undefined) {
    return new GivenConnection(redis.client);
  }
  const connection = new RedisConnection(await loadRedis(), redis, redisTimeout);
  boot.opens(connection);
  return connection;
}

/** Where ends in other processes are heard of; `null` where the sessions are this process's own. */
function createEndFeed({ prefix }: ResolvedSessionAuthOptions, connection: Connection | null): EndFeed | null {
  return connection === null ? null : new RedisEndFeed(connection, prefix);
}

/** The store that the options choose. */
function createStore(
  options: ResolvedSessionAuthOptions,
  clock: Clock,
  events: SessionEvents,
  connection: Connection | null,
): Store {
  if (options.store !== undefined) {
    return options.store;
  }
  if (connection === null) {
    new Logger(SessionAuthModule.name).log('Sessions are kept in memory: they end with this process.');
    return new MemorySessionStore(clock, options.lifetime);
  }
  return new RedisSessionStore({
    link: connection,
    timeout: options.redisTimeout,
    prefix: options.prefix,
    clock,
    lifetime: options.lifetime,
    onUnreadable: (handle) => {
      events.emit({ type: 'ended', handle, reason: 'unreadable' }, clock.now());
    },
  });
}

/** The store as requests use it. A foreign one is driven by express-session's contract. */
function createRepository(
  { lifetime, maxSessions, warnAtBytes, redisTimeout }: ResolvedSessionAuthOptions,
  clock: Clock,
  events: SessionEvents,
  store: Store,
): SessionRepository {
  const reporter = new SessionReporter((event) => {
    events.emit(event, clock.now());
  }, warnAtBytes);
  const atomic = isAtomic(store) ? store : new ForeignStoreAdapter(store, clock, redisTimeout);
  return new SessionRepository(atomic, { lifetime, clock, reporter, maxSessions });
}

function isAtomic(store: Store): store is Store & AtomicSessionStore {
  return store instanceof RedisSessionStore || store instanceof MemorySessionStore;
}
