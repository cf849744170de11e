import { Injectable } from '@nestjs/common';

/** Where a handler waits until the test lets it go on: an interleaving that is forced, not hoped for. */
export class Gate {
  readonly #arrival = deferred();
  readonly #opening = deferred();
  #isReached = false;

  /** Whether a handler has come to the gate. */
  get isReached(): boolean {
    return this.#isReached;
  }

  /** For the handler: says that it is here, and waits. */
  pass(): Promise<void> {
    this.#isReached = true;
    this.#arrival.resolve();
    return this.#opening.promise;
  }

  /** Settles when a handler has come to the gate: its request's session has been loaded, and nothing written yet. */
  get reached(): Promise<void> {
    return this.#arrival.promise;
  }

  /** Lets whoever waits, and whoever comes later, go on. */
  open(): void {
    this.#opening.resolve();
  }
}

/** The gates of one application, by a name that a request's path gives. */
@Injectable()
export class Gates {
  readonly #gates = new Map<string, Gate>();

  named(name: string): Gate {
    const gate = this.#gates.get(name) ?? new Gate();
    this.#gates.set(name, gate);
    return gate;
  }
}

function deferred(): { promise: Promise<void>; resolve: () => void } {
  let resolve!: () => void;
  const promise = new Promise<void>((settle) => (resolve = settle));
  return { promise, resolve };
}
