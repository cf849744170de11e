import { isTargetedField } from './response-caching.js';
import type { Call, ResponseMethods } from './response-calls.js';
import { isHttp2, type SessionResponse } from './session-request.js';

/** The status of a response whose commit failed, until the error handler sets another. */
const FAILED = 500;

/** Headers that describe a body, or belong to the response that was discarded. */
const ENTITY_HEADERS =
  /^(content-(type|length|encoding|language|range|disposition|location)|transfer-encoding|etag|last-modified|location|set-cookie|cache-control|expires|accept-ranges|link)$/;

/**
 * A handler's response whose commit failed. The error handler now sends its own on the same object. So the handler's
 * status, headers and body are forgotten, but headers that other middleware set on every response stay (CORS, security
 * headers).
 */
export class DiscardedResponse {
  /** Middleware above has seen the discarded response begin. What comes from there is ignored. */
  #isBypassed = false;
  /** The handler had not ended its response: its stream may go on writing. */
  #isStreaming = false;

  /** @param held the handler's calls, none of which was carried out */
  constructor(
    private readonly response: SessionResponse,
    private readonly originals: ResponseMethods,
    private readonly held: readonly Call[],
  ) {
    response.statusCode = FAILED;
    if (!isHttp2(response)) {
      response.statusMessage = ''; // Node then sends the status's standard text.
    }
    for (const name of response.getHeaderNames().filter(describesContent)) {
      response.removeHeader(name);
    }
    if (held.some(({ method }) => method === 'writeHead')) {
      this.#bypassMiddleware();
    }
  }

  /** The error handler knows the error now. What is written before it responds may come from the handler's stream. */
  expectLateWrites(): void {
    this.#isStreaming = this.held.every(({ method }) => method !== 'end');
  }

  /** Passes on the calls of the error handler and drops those of the handler. */
  pass(call: Call): unknown {
    return this.#isBypassed && isContent(call) ? undefined : this.#passUnlessLate(call);
  }

  /**
   * Middleware that wraps the response (compression) may have seen the discarded response begin, and would treat the
   * error handler's body as more of it. So that body goes straight to Node, and what the middleware still writes is
   * dropped.
   */
  #bypassMiddleware(): void {
    this.#isBypassed = true;
    const straight = (method: 'write' | 'end') => ({
      configurable: true,
      writable: true,
      value: (...args: unknown[]): unknown => this.#passUnlessLate({ method, args }) ?? true,
    });
    Object.defineProperties(this.response, { write: straight('write'), end: straight('end') });
  }

  #passUnlessLate(call: Call): unknown {
    return this.response.writableEnded || this.#isLateWrite(call)
      ? undefined
      : this.originals[call.method].apply(this.response, call.args);
  }

  /** Whether the handler's stream writes on before the error handler has responded, which may take a while. */
  #isLateWrite({ method }: Call): boolean {
    const { response } = this;
    const hasBegun =
      response.headersSent || response.statusCode !== FAILED || response.getHeaderNames().some(describesContent);
    // A stream that is piped here ends the response by itself. Any other `end` may be the error handler's.
    const isStreamed = method === 'write' || (method === 'end' && response.listenerCount('unpipe') > 0);
    return this.#isStreaming && isStreamed && !hasBegun;
  }
}

function isContent({ method }: Call): boolean {
  return method === 'write' || method === 'end';
}

/** Whether a header describes a body, or otherwise belongs to the response that was discarded. */
export function describesContent(header: string): boolean {
  return ENTITY_HEADERS.test(header) || isTargetedField(header);
}
