import onHeaders from 'on-headers';
import { DiscardedResponse } from './discarded-response.js';
import type { Call, ResponseMethods } from './response-calls.js';
import { headersSentError, sealEnd, sealHeaders } from './sealed-headers.js';
import type { SessionResponse } from './session-request.js';

/** What the gate calls around a response's first byte. */
export interface CommitHooks {
  /** Before the first byte, and once more before the last byte of a stream. The response waits for the promise. */
  commit(isStreaming: boolean): Promise<void> | undefined;
  /** Right before the headers go out: the last moment to set one. */
  writeHeaders(): void;
  /** Whether `writeHeaders` will set any. */
  hasHeaders(): boolean;
  /** The commit before the first byte failed. Nothing has been sent, and the handler's response is discarded. */
  fail(error: unknown): void;
  /**
   * Node refused a call that the handler made during the commit. Without the gate it would have thrown at the handler.
   */
  refuse(error: unknown): void;
}

const GATE = Symbol.for('nestjs-session-auth:gate');
const ORIGINALS = Symbol.for('nestjs-session-auth:originals');
type GatedResponse = SessionResponse & { [GATE]: CommitGate | undefined; [ORIGINALS]: ResponseMethods };

/**
 * Lets nothing of a response out before it is committed, whichever way the handler sends it: `writeHead`,
 * `flushHeaders`, `write` (a stream's first chunk) or `end`. Calls made during the commit are held and repeated in
 * order after it.
 */
export function commitBeforeFirstByte(response: SessionResponse, hooks: CommitHooks): void {
  const gated = response as GatedResponse;
  prepareResponse(gated);
  gated[GATE] = new CommitGate(gated, gated[ORIGINALS], hooks);
}

/**
 * Gives a response the gated methods, which pass everything on until {@link commitBeforeFirstByte}. This is best done
 * before Express sees the response: Express gives each one a prototype and so a hidden class of its own, after which
 * every property that is set costs a kilobyte of garbage and no reader finds it by an inline cache. Where several
 * applications share a server, the first one's gated methods are everybody's: they would pass on to themselves.
 */
export function prepareResponse(response: SessionResponse): void {
  if (GATE in response) {
    return;
  }
  const gated = response as GatedResponse;
  const originals = originalsOf(gated);
  gated[GATE] = undefined;
  gated[ORIGINALS] = originals;
  Object.assign(gated, GATED_METHODS);
}

/**
 * Makes a response's own what its prototype was prepared with: it may get another prototype. Methods that middleware has
 * put there wrap those of the prototype, and stay.
 */
export function keepPrepared(response: SessionResponse): void {
  const gated = response as GatedResponse;
  if (!Object.hasOwn(gated, ORIGINALS) && ORIGINALS in gated) {
    const inherited = Object.entries(GATED_METHODS).filter(([name]) => !Object.hasOwn(gated, name));
    Object.assign(gated, { [ORIGINALS]: gated[ORIGINALS] }, Object.fromEntries(inherited));
  }
}

/** The methods that the gated ones replace. Responses that nobody has changed before share one object. */
function originalsOf(response: GatedResponse): ResponseMethods {
  const { writeHead, flushHeaders, write, end } = response as unknown as ResponseMethods;
  const last = lastOriginals;
  if (last?.inherited === writeHead && last.flushHeaders === flushHeaders && last.write === write && last.end === end) {
    return last;
  }
  lastOriginals = { inherited: writeHead, writeHead: announcing(writeHead), flushHeaders, write, end };
  return lastOriginals;
}

let lastOriginals: (ResponseMethods & { inherited: unknown }) | undefined;

class CommitGate {
  #state: 'closed' | 'committing' | 'open' = 'closed';
  /** The response has begun, by something other than its end. */
  #isStreaming = false;
  #isAnnounced = false;
  #held: Call[] = [];
  /** The last held call ends the response. */
  #isEndHeld = false;
  /** The handler's response, where its commit failed. */
  #discarded: DiscardedResponse | undefined;
  #unseal: (() => void) | undefined;

  constructor(
    private readonly response: GatedResponse,
    private readonly originals: ResponseMethods,
    private readonly hooks: CommitHooks,
  ) {}

  /** The headers are about to go out. Only the first call counts. */
  announce(): void {
    if (!this.#isAnnounced) {
      this.#isAnnounced = true;
      this.hooks.writeHeaders();
    }
  }

  /** Whether {@link announce} will set headers. */
  get hasHeaders(): boolean {
    return !this.#isAnnounced && this.hooks.hasHeaders();
  }

  /** Passes a call on, now or after the commit. Returns `undefined` for a call that waits. */
  pass(call: Call): unknown {
    const isEnd = call.method === 'end';
    if (this.#discarded !== undefined) {
      return this.#discarded.pass(call);
    }
    if (this.#state === 'closed' || (this.#state === 'open' && this.#isStreaming && isEnd)) {
      const commit = this.hooks.commit(this.#state === 'open');
      this.#state = 'open';
      this.#isStreaming = !isEnd;
      if (commit !== undefined) {
        this.#holdUntil(commit);
      }
    }
    if (this.#state !== 'committing') {
      return this.originals[call.method].apply(this.response, call.args);
    }
    this.#hold(call);
    return undefined;
  }

  #holdUntil(commit: Promise<void>): void {
    this.#state = 'committing';
    this.#unseal = sealHeaders(this.response);
    commit.then(
      () => {
        this.#repeatHeld();
      },
      (error: unknown) => {
        // Not before the handler has returned: Fastify would take the discarded response for none, and send another.
        setImmediate(() => {
          this.#discarded = new DiscardedResponse(this.response, this.originals, this.#open());
          this.hooks.fail(error);
          this.#discarded.expectLateWrites();
        });
      },
    );
  }

  /** Keeps a call for after the commit. Throws now what Node would throw then. */
  #hold(call: Call): void {
    if (call.method === 'writeHead' && this.#held.length > 0) {
      throw headersSentError('write');
    }
    if (!this.#isEndHeld) {
      this.#held.push(call);
      if (call.method === 'end') {
        this.#isEndHeld = true;
        sealEnd(this.response);
      }
    }
  }

  #repeatHeld(): void {
    try {
      for (const call of this.#open()) {
        this.pass(call);
      }
    } catch (error) {
      this.hooks.refuse(error);
    }
  }

  /** Opens the gate and returns the calls that were held. */
  #open(): Call[] {
    const held = this.#held;
    this.#state = 'open';
    this.#held = [];
    this.#isEndHeld = false;
    this.#unseal?.();
    return held;
  }
}

/** Shared by all responses. What belongs to one of them is at its `[GATE]`. */
const GATED_METHODS = {
  writeHead(this: GatedResponse, ...args: unknown[]): unknown {
    return pass(this, { method: 'writeHead', args }) ?? this;
  },
  flushHeaders(this: GatedResponse): void {
    pass(this, { method: 'flushHeaders', args: [] });
  },
  write(this: GatedResponse, ...args: unknown[]): unknown {
    // `true` ("go on writing") while the chunk waits: under middleware that wraps the response (compression) no drain
    // event
    // of ours would reach the stream. What is buffered is bounded by the time that a commit may take.
    return pass(this, { method: 'write', args }) ?? true;
  },
  end(this: GatedResponse, ...args: unknown[]): unknown {
    return pass(this, { method: 'end', args }) ?? this;
  },
};

function pass(response: GatedResponse, call: Call): unknown {
  const gate = response[GATE];
  return gate === undefined ? response[ORIGINALS][call.method].apply(response, call.args) : gate.pass(call);
}

/** Node's `writeHead`, which announces the headers first. */
function announcing(writeHead: ResponseMethods['writeHead']): ResponseMethods['writeHead'] {
  return function (this: SessionResponse, ...args: unknown[]): unknown {
    this.statusCode = args[0] as number;
    if (args.length > 1 && (args.some(Array.isArray) || (this as GatedResponse)[GATE]?.hasHeaders)) {
      // The arguments may hold headers, in several forms. on-headers knows them, Node not all, and sets them before it
      // announces. That costs: Fastify gives all its headers so, in an object.
      const holder = { writeHead };
      onHeaders(holder as unknown as SessionResponse, announce);
      return holder.writeHead.apply(this, args);
    }
    announce.call(this);
    args[0] = this.statusCode;
    return writeHead.apply(this, args);
  };
}

function announce(this: SessionResponse): void {
  (this as GatedResponse)[GATE]?.announce();
}
