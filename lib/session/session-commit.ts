import type { CommitHooks } from '../http/commit-gate.js';
import type { SessionRequest } from '../http/session-request.js';
import { SessionNotSerializableException } from '../session-auth.errors.js';
import type { RequestSession } from './request-session.js';
import type { SessionRuntime } from './session-runtime.js';

/** Passes the request on, or an error to the application's error handling. */
export type Next = (error?: unknown) => void;

/**
 * The commit that a response waits for. Who follows a redirect or receives a 200 finds the data saved. A save that fails
 * is an error, not a 200.
 */
export class SessionCommit implements CommitHooks {
  constructor(
    private readonly runtime: SessionRuntime,
    private readonly session: RequestSession,
    private readonly request: SessionRequest,
    private readonly next: Next,
  ) {}

  commit(isStreaming: boolean): Promise<void> | undefined {
    return isStreaming ? this.#commitLate() : this.session.commit();
  }

  writeHeaders(): void {
    this.session.writeHeaders();
  }

  hasHeaders(): boolean {
    return this.session.hasHeaders;
  }

  fail(error: unknown): void {
    this.session.discard();
    if (error instanceof SessionNotSerializableException) {
      this.runtime.logger.error(error.message, error.cause);
    }
    this.refuse(error);
  }

  refuse(error: unknown): void {
    this.runtime.failLate(error, this.request, this.session.response, this.next);
  }

  /**
   * The status has been sent. What a handler changes after a stream's first byte is still saved, but cannot fail the
   * response.
   */
  #commitLate(): Promise<void> | undefined {
    const { session, runtime } = this;
    const { record } = session;
    return session.commit()?.then(
      () => {
        if (session.record !== record) {
          runtime.logger.warn('A session was changed after the response had begun. It was saved, but late.');
        }
      },
      (error: unknown) => {
        runtime.logger.error('A session changed after the response had begun could not be saved.', error);
      },
    );
  }
}
