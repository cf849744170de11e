import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { HttpException } from '@nestjs/common';
import * as library from '../../lib/index.js';

const source = readFileSync(join(import.meta.dirname, '../../lib/index.ts'), 'utf8');

describe('the public exports', () => {
  it('are these values', () => {
    expect(Object.keys(library).sort()).toMatchInlineSnapshot(`
     [
       "AllowCrossSite",
       "AuditLogger",
       "CookieNotSendableException",
       "CrossSiteRequestException",
       "CurrentSession",
       "CurrentUser",
       "EndsWithSession",
       "FreshLoginGuard",
       "FreshLoginRequiredException",
       "InvalidOptionError",
       "LoginFailedException",
       "LoginGuard",
       "LoginIncompleteException",
       "MalformedLoginException",
       "PassiveRoute",
       "PendingLogin",
       "Public",
       "RegistryUnavailableException",
       "RequireFreshLogin",
       "SESSION_AUTH_OPTIONS",
       "SESSION_CLOCK",
       "SESSION_STORE",
       "SessionAuthConfigurationError",
       "SessionAuthModule",
       "SessionAuthService",
       "SessionConflictException",
       "SessionConnections",
       "SessionEvents",
       "SessionGuard",
       "SessionMiddleware",
       "SessionNotSerializableException",
       "SessionPolicy",
       "SessionRegistry",
       "SessionStoreUnavailableException",
       "SessionUnavailableException",
       "TooManySessionsException",
       "UnauthenticatedException",
       "UserLookupFailedException",
       "UserNotSerializableException",
       "UserSerializer",
     ]
    `);
  });

  it('are these types', () => {
    const lists = Array.from(source.matchAll(/^export type \{([^}]*)\}/gm), ([, names = '']) => names);
    const types = lists.flatMap((names) => names.split(',').map((name) => name.trim()));

    expect(types.filter(Boolean).sort()).toMatchInlineSnapshot(`
     [
       "AdoptOptions",
       "Carrier",
       "Clock",
       "CompleteLoginOptions",
       "ConnectionEnd",
       "ConnectionOptions",
       "CookieOptions",
       "Device",
       "Duration",
       "FastifySessionRequest",
       "FreshLoginChallenge",
       "IoredisClient",
       "KeptRequest",
       "LifetimeOptions",
       "LifetimePreset",
       "LogInOptions",
       "LogOutOptions",
       "LoginGuardOptions",
       "MaxSessionsOptions",
       "PolicyDuration",
       "RedisCommands",
       "RedisOptions",
       "RequireFreshLoginOptions",
       "ResolvedSessionAuthOptions",
       "RevocationReason",
       "RevokeOptions",
       "RoutePattern",
       "SessionAuthErrorCode",
       "SessionAuthOptions",
       "SessionAuthOptionsFactory",
       "SessionContents",
       "SessionEvent",
       "SessionInfo",
       "SessionPolicyDescription",
       "SessionRequest",
       "SignOutReason",
       "StrategyLoginGuard",
       "UserId",
       "UserOrId",
     ]
    `);
  });

  it('are all named one by one', () => {
    expect(source).not.toMatch(/export \*|export default/);
  });
});

describe('an exported exception', () => {
  type Exception = HttpException & { code: string; extensions: Record<string, unknown> };
  const exceptions = Object.entries<unknown>(library).filter(
    (entry): entry is [string, new (...args: unknown[]) => Exception] =>
      typeof entry[1] === 'function' && entry[1].prototype instanceof HttpException,
  );

  it.each(exceptions)('%s tells HTTP and GraphQL clients the same', (name, ExceptionClass) => {
    const isMalformedLogin = name === 'MalformedLoginException';
    const exception = isMalformedLogin ? new ExceptionClass(400, 'text') : new ExceptionClass({}, {});
    const { statusCode, code, message: _message, ...details } = exception.getResponse() as Record<string, unknown>;

    expect({ statusCode, code }).toEqual({ statusCode: exception.getStatus(), code: exception.code });
    expect(exception.extensions).toEqual({ ...details, code: expect.stringMatching(/^[A-Z_]+$/), sessionAuth: code });
  });
});

describe('the dependencies', () => {
  const manifest = readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8');
  const { dependencies } = JSON.parse(manifest) as { dependencies: Record<string, string> };

  it('admit no path-to-regexp whose patterns can take seconds (GHSA-j3q9-mxjg-w52f, GHSA-27v5-c462-wpq7)', () => {
    const [, major, minor] = /^\^(\d+)\.(\d+)\./.exec(dependencies['path-to-regexp'] ?? '') ?? [];

    expect([Number(major), Number(minor) >= 4]).toEqual([8, true]);
  });
});
