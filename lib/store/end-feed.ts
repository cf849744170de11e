import type { SignOutReason } from '../session-auth.errors.js';

/** How a session has ended. */
export interface HeardEnd {
  readonly reason: SignOutReason;
  /** The handle under which the session goes on, where it was a step-up that ended this one. */
  readonly successor?: string;
}

/** What an {@link EndFeed} calls. */
export interface EndListener {
  /** A session has ended, in whichever process. */
  onEnd(handle: string, end: HeardEnd): void;
  /** What ends from now on is heard. What has ended before, since the start or since a gap, is not. */
  onOpen(): void;
}

/** Hears of sessions that end, in other processes too. It needs a connection of its own, so it is only open on demand. */
export interface EndFeed {
  open(listener: EndListener): void;
  close(): void;
}
