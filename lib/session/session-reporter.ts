import type { HttpException } from '@nestjs/common';
import type { MissingUser, NewSessionEvent, RevocationReason } from '../model/session-event.js';
import { proofsOf, type Spared } from '../model/login-record.js';
import type { SessionRecord } from '../model/session-record.js';
import type { EndListener } from '../store/end-feed.js';

/** By what a login was done. */
export interface LoginMeans {
  /** The Passport strategy that named the user; `undefined` where other code did. */
  readonly strategy?: string | undefined;
}

/** What a login knows of its browser. */
export interface LoginBrowser extends LoginMeans {
  /** The methods that need not be proved on it. */
  readonly spared?: Spared | undefined;
  /** `undefined` where markers are not set at each login. */
  readonly isNew?: boolean | undefined;
}

/** Reports what happens to sessions, as events. */
export class SessionReporter {
  /** Hears how pending logins end, which is no event. */
  onPendingEnd: EndListener['onEnd'] | undefined;

  /** Hears of requests that a guard has refused, which is no event: every visitor without a login would be one. */
  onRefused: ((reason: HttpException) => void) | undefined;

  /**
   * @param report passes an event on
   * @param warnAtBytes bytes of data past which a session is reported as large
   */
  constructor(
    private readonly report: (event: NewSessionEvent) => void,
    private readonly warnAtBytes: number,
  ) {}

  /** @param previous the handle under which the login was pending */
  loggedIn({ handle, login }: SessionRecord, userId: string, browser: LoginBrowser, previous?: string): void {
    const { strategy, spared, isNew } = browser;
    if (previous !== undefined) {
      this.onPendingEnd?.(previous, { reason: 'logged_out', successor: handle });
    }
    const methods = login?.earlier && proofsOf(login).map(({ method = '' }) => method);
    this.report({
      type: 'logged-in',
      userId,
      handle,
      ...meansOf(login, strategy),
      ...(methods && { methods }),
      ...(spared && { spared: spared.methods }),
      ...(login?.device && { device: login.device }),
      ...(isNew !== undefined && { newDevice: isNew }),
    });
  }

  adopted(record: SessionRecord): void {
    const { device } = record.login ?? {};
    this.report({ type: 'adopted', ...subjectOf(record), ...(device && { device }) });
    this.saved(record, 0);
  }

  loginPending({ handle, pending }: SessionRecord, { strategy }: LoginMeans): void {
    if (pending !== undefined) {
      const { login, missing } = pending;
      this.report({
        type: 'login-pending',
        userId: login.userId,
        handle,
        ...meansOf(login, strategy),
        pending: missing,
      });
    }
  }

  /** A session that ends and was nobody's is no event. */
  loggedOut({ handle, login, pending }: SessionRecord): void {
    if (pending !== undefined) {
      this.onPendingEnd?.(handle, { reason: 'logged_out' });
    }
    if (login !== undefined) {
      this.report({ type: 'logged-out', userId: login.userId, handle });
    }
  }

  reauthenticated(record: SessionRecord, previous: string, { strategy }: LoginMeans): void {
    this.report({ type: 'reauthenticated', ...subjectOf(record), previous, ...meansOf(record.login, strategy) });
  }

  rotated(record: SessionRecord): void {
    this.report({ type: 'rotated', ...subjectOf(record) });
  }

  reuseDetected(record: SessionRecord): void {
    this.report({ type: 'reuse-detected', ...subjectOf(record) });
  }

  endedWithoutUser(record: SessionRecord, reason: MissingUser): void {
    this.report({ type: 'ended', ...subjectOf(record), reason });
  }

  revoked(userId: string | undefined, handles: readonly string[], reason: RevocationReason): void {
    for (const handle of handles) {
      this.report({ type: 'revoked', handle, reason, ...(userId !== undefined && { userId }) });
    }
  }

  saveDropped(record: SessionRecord): void {
    this.report({ type: 'save-dropped', ...subjectOf(record) });
  }

  storeFailed(operation: string, error: unknown): void {
    this.report({ type: 'store-error', operation, error });
  }

  touchFailed(record: SessionRecord, error: unknown): void {
    this.report({ type: 'touch-failed', ...subjectOf(record), error });
  }

  refused(reason: HttpException): void {
    this.onRefused?.(reason);
  }

  /** Reports a session when it has grown large, and not again with each write. */
  saved(record: SessionRecord, bytesBefore: number): void {
    const bytes = Buffer.byteLength(record.data);
    if (bytes > this.warnAtBytes && bytesBefore <= this.warnAtBytes) {
      this.report({ type: 'large-session', ...subjectOf(record), bytes });
    }
  }
}

/** Whose session an event is about, and which. */
function subjectOf({ handle, login }: SessionRecord): { userId?: string; handle: string } {
  return { ...(login && { userId: login.userId }), handle };
}

function meansOf(login: SessionRecord['login'], strategy?: string): { strategy?: string; method?: string } {
  return { ...(strategy !== undefined && { strategy }), ...(login?.method !== undefined && { method: login.method }) };
}
