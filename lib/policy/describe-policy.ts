import { RequestMethod } from '@nestjs/common';
import { PENDING_FOR } from '../model/lifetime.js';
import type { SessionEvent } from '../model/session-event.js';
import { ENDED_REMEMBERED_FOR } from '../model/session-end.js';
import type { SignOutReason } from '../session-auth.errors.js';
import type { ResolvedSessionAuthOptions, RoutePattern } from '../session-auth.options.js';
import { isWithinPreset } from '../validation/lifetime.js';
import { deviceOfRequest } from '../validation/options.js';
import { durationOf } from './duration-text.js';
import type { SessionPolicyDescription } from './policy-description.js';

const END_REASONS: Record<SignOutReason, string> = {
  expired: 'It reached its inactivity timeout or its maximum lifetime, or the store does not know it any more.',
  revoked: 'It was ended on another device or by an administrator, or its user is gone or is another one.',
  limit: 'A login beyond the limit of parallel sessions took its place.',
  credentials_changed: "The user's credentials have changed.",
  logged_out: 'The user logged out.',
  reuse_detected: 'An old copy of its cookie was used.',
};

const AUDIT_EVENTS: Record<SessionEvent['type'], string> = {
  'logged-in': 'a user logged in',
  'login-pending': 'a step of a login was done, and others are to follow',
  adopted: 'a session of the former stack was carried over',
  'login-failed': 'a login was turned down',
  'logged-out': 'a user logged out',
  reauthenticated: 'a user proved again who they are',
  revoked: 'a session was ended from elsewhere: by its user, an administrator, the limit, changed credentials',
  'cross-site-refused': 'a request from another site was refused',
  rotated: 'the secret of a session has changed',
  'reuse-detected': 'an old copy of a cookie was used',
  ended: 'a session ended because its user is gone or is another one, or it could not be read',
  'save-dropped': 'a request wanted to write to a session that had ended',
  'connection-closed': 'an open connection was closed because its session had ended',
  'large-session': 'the data of a session has become large',
  'store-error': 'the store failed',
  'touch-failed': 'activity could not be written down',
};

const WEAKER: Record<SessionPolicyDescription['store']['kind'], readonly string[]> = {
  redis: [],
  memory: ['Sessions end with the process, and other processes do not know them.'],
  'express-session': [
    'Of several processes that write to one session at the same time, one may undo what another wrote, or bring back ' +
      'a session that ended meanwhile.',
    'The sessions of a user cannot be listed, counted, limited, or ended from elsewhere.',
    'The secret in the cookie does not change, so that copies of a cookie are not detected.',
    'Why a session ended is not remembered: its browser is told `expired`.',
    'Open connections of other processes end only when they are checked again.',
  ],
};

/** The rules that follow from these options. */
export function describePolicy(options: ResolvedSessionAuthOptions): SessionPolicyDescription {
  const { lifetime, maxSessions, secrets, connections, crossSite, trustedOrigins, exclude, warnings } = options;
  const store = storeOf(options);
  const rotates = Number.isFinite(lifetime.rotateEvery);
  const isOurs = store.kind !== 'express-session';
  return {
    lifetime: {
      idle: durationOf(lifetime.idle),
      absolute: durationOf(lifetime.absolute),
      touchEvery: durationOf(lifetime.touchEvery),
      pendingLogin: durationOf(PENDING_FOR),
    },
    nist: {
      aal1: isWithinPreset(lifetime, 'aal1'),
      aal2: isWithinPreset(lifetime, 'aal2'),
      aal3: isWithinPreset(lifetime, 'aal3'),
    },
    rotation: rotates ? { every: durationOf(lifetime.rotateEvery), grace: durationOf(lifetime.rotationGrace) } : null,
    parallelSessions: maxSessions ? { ...maxSessions } : null,
    cookie: cookieOf(options),
    signing: { algorithm: 'HMAC-SHA256', secrets: secrets.length },
    endReasons: { ...END_REASONS },
    endsRememberedFor: isOurs ? durationOf(ENDED_REMEMBERED_FOR) : null,
    defences: {
      crossSite,
      trustedOrigins: trustedOrigins.map(String),
      revocation: isOurs,
      reuseDetection: rotates,
      connectionRecheck: durationOf(connections.recheck),
    },
    store,
    device: deviceKindOf(options.device),
    knownDevices: options.knownDevices,
    auditEvents: { ...AUDIT_EVENTS },
    excludedRoutes: exclude.map(routeText),
    warnings: [...warnings],
  };
}

function cookieOf({ cookie, adopt }: ResolvedSessionAuthOptions): SessionPolicyDescription['cookie'] {
  const { name, path, domain, sameSite, secure, partitioned } = cookie;
  return {
    name,
    prefix: prefixOf(name),
    path,
    domain: domain ?? null,
    sameSite,
    secure,
    httpOnly: true,
    partitioned,
    outlivesSession: durationOf(ENDED_REMEMBERED_FOR),
    adopts: adopt?.cookie ?? null,
  };
}

/** Browsers do not look at its case. */
function prefixOf(name: string): SessionPolicyDescription['cookie']['prefix'] {
  const prefixes = ['__Host-Http-', '__Host-', '__Http-', '__Secure-'] as const;
  return prefixes.find((prefix) => name.toLowerCase().startsWith(prefix.toLowerCase())) ?? null;
}

function storeOf({ redis, store, onStoreError, redisTimeout }: ResolvedSessionAuthOptions) {
  const topologies = { url: 'server', cluster: 'cluster', sentinel: 'sentinel', client: 'client' } as const;
  const given = (['url', 'cluster', 'sentinel', 'client'] as const).find((key) => redis?.[key] !== undefined);
  const kind = redis !== undefined ? 'redis' : store !== undefined ? 'express-session' : 'memory';
  return {
    kind,
    topology: given === undefined ? null : topologies[given],
    weaker: [...WEAKER[kind]],
    onError: onStoreError,
    timeout: durationOf(redisTimeout),
  } satisfies SessionPolicyDescription['store'];
}

function deviceKindOf(device: ResolvedSessionAuthOptions['device']): SessionPolicyDescription['device'] {
  if (device === false) {
    return 'none';
  }
  return device === deviceOfRequest ? 'address-and-user-agent' : 'custom';
}

function routeText(route: RoutePattern): string {
  return typeof route === 'string' ? route : `${RequestMethod[route.method]} ${route.path}`;
}
