import type { Call, ResponseMethods } from './response-calls.js';
import type { SessionResponse } from './session.types.js';

/** The status of an answer that has failed, until somebody gives it another. */
const FAILED = 500;

/** Headers that described the answer that was dropped. */
const ENTITY_HEADERS =
  /^(content-(type|length|encoding|language|range|disposition|location)|transfer-encoding|etag|last-modified|location|set-cookie|cache-control|expires|accept-ranges|link)$/;

/**
 * A handler's answer that could not be committed, on a response that is now to carry the error's. The response forgets it,
 * but not what other middleware said of every answer (CORS, security headers).
 */
export class DroppedAnswer {
  /** The answer goes on through middleware above, which is passed by. */
  #passedBy = false;
  /** The answer had not ended: a stream of the handler's may go on writing. */
  #streamsOn = false;

  /** @param held what the handler had called, and what was not carried out */
  constructor(
    private readonly response: SessionResponse,
    private readonly originals: ResponseMethods,
    private readonly held: readonly Call[],
  ) {
    response.statusCode = FAILED;
    response.statusMessage = ''; // Node then says what the status means.
    for (const name of response.getHeaderNames().filter(isOfEntity)) {
      response.removeHeader(name);
    }
    if (held.some(({ method }) => method === 'writeHead')) {
      this.#passBy();
    }
  }

  /** The error is known now: who has answered it at once has done so, and what else comes may be the handler's. */
  expectLeftovers(): void {
    this.#streamsOn = this.held.every(({ method }) => method !== 'end');
  }

  /** A call on the response: the error's answer goes out, what is left of the handler's does not. */
  pass(call: Call): unknown {
    return this.#passedBy && isContent(call) ? undefined : this.#passLate(call);
  }

  /**
   * Middleware above that wraps the response (compression) may have seen the dropped answer begin, and would take the
   * error's for more of it. So the error's goes past it, and what still comes from there is dropped, too.
   */
  #passBy(): void {
    this.#passedBy = true;
    const straight = (method: 'write' | 'end') => ({
      configurable: true,
      writable: true,
      value: (...args: unknown[]): unknown => this.#passLate({ method, args }) ?? true,
    });
    Object.defineProperties(this.response, { write: straight('write'), end: straight('end') });
  }

  #passLate(call: Call): unknown {
    return this.response.writableEnded || this.#isLeftover(call)
      ? undefined
      : this.originals[call.method].apply(this.response, call.args);
  }

  /** Nobody has begun to answer the error yet: an exception filter may take its time, and a stream does not wait for it. */
  #isLeftover({ method }: Call): boolean {
    const { response } = this;
    const begun = response.headersSent || response.statusCode !== FAILED || response.getHeaderNames().some(isOfEntity);
    // What is piped here ends by itself. Else, whoever ends the answer without a word may be answering the error.
    const streamed = method === 'write' || (method === 'end' && response.listenerCount('unpipe') > 0);
    return this.#streamsOn && streamed && !begun;
  }
}

function isContent({ method }: Call): boolean {
  return method === 'write' || method === 'end';
}

function isOfEntity(header: string): boolean {
  return ENTITY_HEADERS.test(header);
}
