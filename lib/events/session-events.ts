import { Injectable, Logger } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import { GuardedObservable } from './guarded-observable.js';

/** What every event says. The handle names the session; no event ever carries its secret. */
interface EventBase {
  /** When it happened. */
  readonly at: Date;
  readonly userId?: string;
  readonly handle?: string;
}

/** Who or what had a session end: its user (on another device, say), an administrator, `maxSessions`, new credentials. */
export type RevocationReason = 'user' | 'admin' | 'limit' | 'credentials-changed';

/** What happens to sessions, told apart by `type`. */
export type SessionEvent = EventBase &
  (
    | { readonly type: 'logged-in'; readonly userId: string; readonly handle: string; readonly method?: string }
    | { readonly type: 'logged-out'; readonly userId: string; readonly handle: string }
    /** The user proved again who they are; the session goes on under a new handle. */
    | {
        readonly type: 'reauthenticated';
        readonly handle: string;
        readonly previous: string;
        readonly method?: string;
      }
    /** A session was ended from elsewhere. `userId` is missing where everybody's were. */
    | { readonly type: 'revoked'; readonly handle: string; readonly reason: RevocationReason }
    /** The browser has taken up a new secret for its session. */
    | { readonly type: 'rotated'; readonly handle: string }
    /** A cookie with an old secret was shown after its time: somebody has a copy. The session has ended. */
    | { readonly type: 'reuse-detected'; readonly handle: string }
    /** A strategy turned credentials down. */
    | { readonly type: 'login-failed'; readonly strategy: string; readonly reason: string }
    /** The session was ended by the module: its user is gone, or what stood in the store was unreadable. */
    | { readonly type: 'ended'; readonly handle: string; readonly reason: 'user-gone' | 'unreadable' }
    /** A request's session ended while it ran; what it wanted to store was dropped. */
    | { readonly type: 'save-dropped'; readonly handle: string }
    /** What a session holds has grown past `warnAtBytes`: each request has to load it. */
    | { readonly type: 'large-session'; readonly handle: string; readonly bytes: number }
    /** The store did not do what it was asked. */
    | { readonly type: 'store-error'; readonly operation: string; readonly error: unknown }
    /** Activity could not be written down. The answer went out regardless. */
    | { readonly type: 'touch-failed'; readonly handle: string; readonly error: unknown }
  );

/** An event as it is reported, before it gets its time. */
export type NewSessionEvent = SessionEvent extends infer Event
  ? Event extends SessionEvent
    ? Omit<Event, 'at'>
    : never
  : never;

/**
 * What happens to the application's sessions, as a stream: subscribe to `events$`. Each event follows the fact it
 * reports. A listener that throws is logged and goes on listening; it disturbs neither the request nor other listeners.
 */
@Injectable()
export class SessionEvents {
  readonly #logger = new Logger('SessionEvents');
  readonly #subject = new Subject<SessionEvent>();

  /** Hot: a subscriber sees what happens from then on. Completes when the application closes. */
  readonly events$: Observable<SessionEvent> = new GuardedObservable(this.#subject, (error) => {
    this.#logger.error('A listener to session events threw.', error);
  });

  /** @internal */
  emit(event: NewSessionEvent, at: number): void {
    this.#subject.next({ ...event, at: new Date(at) });
  }

  /** @internal */
  close(): void {
    this.#subject.complete();
  }
}
