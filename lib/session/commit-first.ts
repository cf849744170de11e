import onHeaders from 'on-headers';
import { DroppedAnswer } from './dropped-answer.js';
import type { Call, ResponseMethods } from './response-calls.js';
import { sealHeaders, tooLateToChange } from './sealed-headers.js';
import type { SessionResponse } from './session.types.js';

/** What to do around an answer's first byte. */
export interface CommitHooks {
  /** Before the first byte, and once more before the last of a stream. A promise holds the answer back until it settles. */
  commit(streaming: boolean): Promise<void> | undefined;
  /** Right before the headers go: the last moment to set one. */
  writeHeaders(): void;
  /** The commit before the first byte failed: nothing has been sent, and the handler's answer is dropped. */
  fail(error: unknown): void;
  /** Node refused what the handler asked for while the commit ran, as it would have refused it to the handler's face. */
  refuse(error: unknown): void;
}

const GATE = Symbol('nestjs-session-auth:gate');
const ORIGINALS = Symbol('nestjs-session-auth:originals');
type GatedResponse = SessionResponse & { [GATE]: Gate | undefined; [ORIGINALS]: ResponseMethods };

/**
 * Lets nothing of an answer out before it is committed, however the handler writes it: `writeHead`, `flushHeaders`,
 * `write` (a stream's first chunk) and `end`. Calls made while the commit runs are kept and repeated in order after it.
 */
export function commitFirst(response: SessionResponse, hooks: CommitHooks): void {
  const gated = response as GatedResponse;
  if (!Object.hasOwn(gated, GATE)) {
    prepareResponse(gated);
  }
  gated[GATE] = new Gate(gated, gated[ORIGINALS], hooks);
}

/**
 * Gives a response the gated methods, which pass everything on until {@link commitFirst}. Best done before Express has
 * seen it: that gives each response a prototype and so a shape of its own, after which every property set on it costs
 * a kilobyte of garbage and no reader finds it by an inline cache.
 */
export function prepareResponse(response: SessionResponse): void {
  const gated = response as GatedResponse;
  const originals = originalsOf(gated);
  gated[GATE] = undefined;
  gated[ORIGINALS] = originals;
  Object.assign(gated, GATED_METHODS);
}

/** What the gated methods stand in for. Responses that nobody has changed before share theirs. */
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

class Gate {
  #state: 'fresh' | 'held' | 'open' = 'fresh';
  /** The answer has begun, and not with its end. */
  #streaming = false;
  #announced = false;
  #held: Call[] = [];
  /** Held calls end with the answer's own. */
  #endHeld = false;
  /** What could not be committed. */
  #dropped: DroppedAnswer | undefined;
  #unseal: () => void = () => undefined;

  constructor(
    private readonly response: GatedResponse,
    private readonly originals: ResponseMethods,
    private readonly hooks: CommitHooks,
  ) {}

  /** The headers are about to go: only the first time counts. */
  announce(): void {
    if (!this.#announced) {
      this.#announced = true;
      this.hooks.writeHeaders();
    }
  }

  /** Passes a call on, at once or after the commit; `undefined` when it waits. */
  pass(call: Call): unknown {
    const last = call.method === 'end';
    if (this.#dropped !== undefined) {
      return this.#dropped.pass(call);
    }
    if (this.#state === 'fresh' || (this.#state === 'open' && this.#streaming && last)) {
      const commit = this.hooks.commit(this.#state === 'open');
      this.#state = 'open';
      this.#streaming = !last;
      if (commit !== undefined) {
        this.#hold(commit);
      }
    }
    if (this.#state !== 'held') {
      return this.originals[call.method].apply(this.response, call.args);
    }
    this.#keep(call);
    return undefined;
  }

  #hold(commit: Promise<void>): void {
    this.#state = 'held';
    this.#unseal = sealHeaders(this.response);
    commit.then(
      () => {
        this.#release();
      },
      (error: unknown) => {
        this.#dropped = new DroppedAnswer(this.response, this.originals, this.#letGo());
        this.hooks.fail(error);
        this.#dropped.expectLeftovers();
      },
    );
  }

  /** Keeps a call for later. What could not follow on the calls before it is turned down now. */
  #keep(call: Call): void {
    if (call.method === 'writeHead' && this.#held.length > 0) {
      throw tooLateToChange('write');
    }
    if (!this.#endHeld) {
      this.#held.push(call);
      this.#endHeld = call.method === 'end';
    }
  }

  #release(): void {
    try {
      for (const call of this.#letGo()) {
        this.pass(call);
      }
    } catch (error) {
      this.hooks.refuse(error);
    }
  }

  /** Holds nothing any more. */
  #letGo(): Call[] {
    const held = this.#held;
    this.#state = 'open';
    this.#held = [];
    this.#endHeld = false;
    this.#unseal();
    return held;
  }
}

/** Shared by all responses: what is theirs alone is at `this[GATE]`. */
const GATED_METHODS = {
  writeHead(this: GatedResponse, ...args: unknown[]): unknown {
    return pass(this, { method: 'writeHead', args }) ?? this;
  },
  flushHeaders(this: GatedResponse): void {
    pass(this, { method: 'flushHeaders', args: [] });
  },
  write(this: GatedResponse, ...args: unknown[]): unknown {
    // While it waits, "go on": under middleware that wraps the response (compression) no drain event of ours would reach
    // the stream. What piles up is bounded by the time a commit may take.
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

/** Node's `writeHead`, with the last word on the headers before it. */
function announcing(writeHead: ResponseMethods['writeHead']): ResponseMethods['writeHead'] {
  return function (this: SessionResponse, ...args: unknown[]): unknown {
    if (args.length > 1) {
      // Headers may be among the arguments, in several forms: on-headers knows them, and sets them first.
      const carrier = { writeHead };
      onHeaders(carrier as unknown as SessionResponse, announce);
      return carrier.writeHead.apply(this, args);
    }
    this.statusCode = args[0] as number;
    announce.call(this);
    return writeHead.call(this, this.statusCode);
  };
}

function announce(this: SessionResponse): void {
  (this as GatedResponse)[GATE]?.announce();
}
