export { SessionAuthModule } from './session-auth.module.js';
export type { SessionAuthOptionsFactory } from './session-auth.module.js';
export { SESSION_AUTH_OPTIONS } from './session-auth.options.js';
export type {
  AdoptOptions,
  ConnectionOptions,
  CookieOptions,
  Duration,
  LifetimeOptions,
  LifetimePreset,
  MaxSessionsOptions,
  ResolvedSessionAuthOptions,
  RoutePattern,
  SessionAuthOptions,
} from './session-auth.options.js';
export type { IoredisClient, RedisCommands, RedisOptions } from './redis/redis-options.js';
export { SESSION_STORE } from './store/session-store.js';
export { SESSION_CLOCK } from './model/clock.js';
export type { Clock } from './model/clock.js';

export type { Carrier } from './access/carrier.js';
export { SessionGuard } from './access/session.guard.js';
export { CurrentSession, CurrentUser, Public } from './access/decorators.js';
export { FreshLoginGuard, RequireFreshLogin } from './access/fresh-login.guard.js';
export type { RequireFreshLoginOptions } from './access/fresh-login.guard.js';
export { AllowCrossSite } from './access/allow-cross-site.js';
export { PendingLogin } from './access/pending-login.js';
export { PassiveRoute } from './access/passive-route.js';
export { LoginGuard } from './login/login.guard.js';
export type { StrategyLoginGuard } from './login/login.guard.js';
export type { LoginGuardOptions } from './login/login-guard-options.js';
export { SessionAuthService } from './login/session-auth.service.js';
export type { CompleteLoginOptions, LogInOptions, LogOutOptions } from './login/log-in-options.js';
export type { UserId, UserOrId } from './serializer/user-id.js';
export { SessionMiddleware } from './session/session.middleware.js';
export { UserSerializer } from './serializer/user-serializer.js';

export { SessionRegistry } from './registry/session-registry.js';
export type { RevokeOptions } from './registry/session-registry.js';

export { SessionPolicy } from './policy/session-policy.js';
export type { PolicyDuration, SessionPolicyDescription } from './policy/policy-description.js';

export { EndsWithSession } from './connections/ends-with-session.js';
export { SessionConnections } from './connections/session-connections.js';
export type { ConnectionEnd } from './connections/watched-session.js';

export { AuditLogger } from './events/audit-logger.js';
export { SessionEvents } from './events/session-events.js';
export type { RevocationReason, SessionEvent } from './model/session-event.js';
export type { KeptRequest } from './model/kept-request.js';
export type { Device, SessionInfo } from './model/session-info.js';
export type { SessionContents } from './http/session-contents.js';
export type { SessionRequest } from './http/session-request.js';
export type { FastifySessionRequest } from './platform/fastify-request.js';

export {
  CookieNotSendableException,
  CrossSiteRequestException,
  FreshLoginRequiredException,
  InvalidOptionError,
  LoginFailedException,
  LoginIncompleteException,
  MalformedLoginException,
  RegistryUnavailableException,
  SessionAuthConfigurationError,
  SessionConflictException,
  SessionNotSerializableException,
  SessionStoreUnavailableException,
  SessionUnavailableException,
  TooManySessionsException,
  UnauthenticatedException,
  UserLookupFailedException,
  UserNotSerializableException,
} from './session-auth.errors.js';
export type { FreshLoginChallenge, SessionAuthErrorCode, SignOutReason } from './session-auth.errors.js';
