import onHeaders from 'on-headers';
import type { SessionResponse } from './session.types.js';

/** What to do around an answer's first byte. */
export interface CommitHooks {
  /** Before the first byte, and once more before the last of a stream. A promise holds the answer back until it settles. */
  commit(streaming: boolean): Promise<void> | undefined;
  /** Right before the headers go: the last moment to set one. */
  headers(): void;
  /** The commit before the first byte failed: nothing has been sent, and the handler's answer is dropped. */
  failed(error: unknown): void;
}

/** One call of the handler's on the response; `last` is `end`. */
interface Call {
  readonly run: () => unknown;
  readonly last: boolean;
}

type Method = (...args: unknown[]) => unknown;

/** Headers that described the answer that was dropped. */
const ENTITY_HEADERS =
  /^(content-(type|length|encoding|language|range|disposition|location)|transfer-encoding|etag|last-modified|location|set-cookie|cache-control|expires|accept-ranges|link)$/;

/**
 * Lets nothing of an answer out before it is committed, however the handler writes it: `writeHead`, `flushHeaders`,
 * `write` (a stream's first chunk) and `end`. Calls made while the commit runs are kept and repeated in order after it.
 */
export function commitFirst(response: SessionResponse, hooks: CommitHooks): void {
  onHeaders(response, () => hooks.headers());
  const writeHead = response.writeHead.bind(response) as Method;
  const flushHeaders = response.flushHeaders.bind(response);
  const write = response.write.bind(response) as Method;
  const end = response.end.bind(response) as Method;
  let state: 'fresh' | 'held' | 'open' | 'failed' = 'fresh';
  let streaming = false;
  let held: Call[] = [];

  const hold = (commit: Promise<void>): void => {
    state = 'held';
    commit.then(release, (error: unknown) => {
      state = 'failed';
      held = [];
      dropAnswer(response);
      hooks.failed(error);
    });
  };

  const release = (): void => {
    state = 'open';
    const calls = held;
    held = [];
    for (const call of calls) {
      pass(call, undefined);
    }
    if (!response.writableEnded && !response.writableNeedDrain) {
      response.emit('drain');
    }
  };

  /** Passes a call on, at once or after the commit; what the caller gets back meanwhile is `meanwhile`. */
  const pass = (call: Call, meanwhile: unknown): unknown => {
    if (state === 'failed' && response.writableEnded) {
      return meanwhile; // The handler's stream goes on writing into an answer that is over.
    }
    if (state === 'fresh' || (state === 'open' && streaming && call.last)) {
      const commit = hooks.commit(state === 'open');
      state = 'open';
      streaming = !call.last;
      if (commit !== undefined) {
        hold(commit);
      }
    }
    if (state !== 'held') {
      return call.run();
    }
    held.push(call);
    return meanwhile;
  };

  response.writeHead = function (...args: unknown[]) {
    const run = (): unknown => writeHead(...args);
    return pass({ run, last: false }, response) as SessionResponse;
  };
  response.flushHeaders = function () {
    pass({ run: flushHeaders, last: false }, undefined);
  };
  response.write = function (...args: unknown[]) {
    const run = (): unknown => write(...args);
    return pass({ run, last: false }, false) as boolean;
  };
  response.end = function (...args: unknown[]) {
    const run = (): unknown => end(...args);
    return pass({ run, last: true }, response) as SessionResponse;
  };
}

/** Forgets the answer so far, but not what other middleware said of every answer (CORS, security headers). */
function dropAnswer(response: SessionResponse): void {
  response.statusCode = 500;
  for (const name of response.getHeaderNames()) {
    if (ENTITY_HEADERS.test(name)) {
      response.removeHeader(name);
    }
  }
}
