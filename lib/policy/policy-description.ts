import type { SessionEvent } from '../model/session-event.js';
import type { SignOutReason } from '../session-auth.errors.js';
import type { LifetimePreset, MaxSessionsOptions, ResolvedSessionAuthOptions } from '../session-auth.options.js';

/**
 * A length of time, for programs and for people.
 *
 * @example
 * ```ts
 * const timeout: PolicyDuration = { ms: 3_600_000, text: '1 hour' };
 * ```
 */
export interface PolicyDuration {
  readonly ms: number;
  readonly text: string;
}

/**
 * The rules that the sessions of an application follow, as its options have set them. It is plain data: `JSON.stringify`
 * keeps all of it. No secret, address or password is in it.
 *
 * @example
 * ```ts
 * function demandAal2({ nist, parallelSessions }: SessionPolicyDescription) {
 *   if (!nist.aal2 || parallelSessions === null) {
 *     throw new Error('Our policy is AAL2, with a limit of sessions.');
 *   }
 * }
 * ```
 */
export interface SessionPolicyDescription {
  /** The limits of a session. A login with `remember`, and `req.session.cookie.maxAge`, give one session others. */
  readonly lifetime: {
    /** A session that goes unused for this long expires. */
    readonly idle: PolicyDuration;
    /** A session expires after this long in any case. */
    readonly absolute: PolicyDuration;
    /** How often activity is written down: a session may expire by this much before `idle` is over. */
    readonly touchEvery: PolicyDuration;
    /** How long a login of several steps may take. */
    readonly pendingLogin: PolicyDuration;
  };
  /** Whether the limits are within those of NIST SP 800-63B-4 for each authentication assurance level. */
  readonly nist: Readonly<Record<LifetimePreset, boolean>>;
  /** How the secret in the cookie changes while the session goes on; `null` where it does not. */
  readonly rotation: { readonly every: PolicyDuration; readonly grace: PolicyDuration } | null;
  /** How many sessions a user may have at a time, and what happens to one more; `null` for any number. */
  readonly parallelSessions: Readonly<Required<MaxSessionsOptions>> | null;
  readonly cookie: {
    readonly name: string;
    /** What browsers guarantee by the name alone (RFC 6265bis); `null` where that is nothing. */
    readonly prefix: '__Host-Http-' | '__Host-' | '__Http-' | '__Secure-' | null;
    readonly path: string;
    /** `null`: browsers send the cookie to this host alone. */
    readonly domain: string | null;
    readonly sameSite: 'lax' | 'strict' | 'none';
    /** `'auto'`: where the request is secure. */
    readonly secure: boolean | 'auto';
    readonly httpOnly: true;
    readonly partitioned: boolean;
    /** How long the cookie of a login outlives its session, so that the browser can be told why that ended. */
    readonly outlivesSession: PolicyDuration;
    /** The cookie of the former stack, whose sessions are carried over; `null` where none are. */
    readonly adopts: string | null;
  };
  /** How the cookie is signed. Of several secrets the first one signs, and all verify. */
  readonly signing: { readonly algorithm: 'HMAC-SHA256'; readonly secrets: number };
  /** What a user whose session has ended is told, and when. */
  readonly endReasons: Readonly<Record<SignOutReason, string>>;
  /** How long the reason of an end is remembered; `null` where it is not. */
  readonly endsRememberedFor: PolicyDuration | null;
  readonly defences: {
    /** Whether requests from other sites are refused that may change something, log in, or open a connection. */
    readonly crossSite: ResolvedSessionAuthOptions['crossSite'];
    /** Other origins whose pages may act in the name of who is logged in. A RegExp is given as its text. */
    readonly trustedOrigins: readonly string[];
    /** Sessions can be listed, and ended from elsewhere: by their user, an administrator, or changed credentials. */
    readonly revocation: boolean;
    /** A session ends when an old copy of its cookie is used. */
    readonly reuseDetection: boolean;
    /** The longest that an open connection goes on after its session has ended unheard. */
    readonly connectionRecheck: PolicyDuration;
  };
  readonly store: {
    readonly kind: 'redis' | 'memory' | 'express-session';
    /** How Redis is reached; `null` where sessions are stored elsewhere. */
    readonly topology: 'server' | 'cluster' | 'sentinel' | 'client' | null;
    /** What does not hold with this store. */
    readonly weaker: readonly string[];
    /** What guarded routes respond while the store cannot be reached. */
    readonly onError: ResolvedSessionAuthOptions['onStoreError'];
    /** The longest that a request waits for the store. */
    readonly timeout: PolicyDuration;
  };
  /** What is remembered of the device at a login: its address and user agent, something else, or nothing. */
  readonly device: 'address-and-user-agent' | 'custom' | 'none';
  /** Each login marks its browser by a cookie, and the event `logged-in` tells whether that is a new one. */
  readonly knownDevices: boolean;
  /** What `SessionEvents` reports. */
  readonly auditEvents: Readonly<Record<SessionEvent['type'], string>>;
  /** Routes without a session. */
  readonly excludedRoutes: readonly string[];
  /** What was warned of at boot. */
  readonly warnings: readonly string[];
}
