/**
 * An `AbortSignal` for sockets that come and go for as long as a process lives. `net.Socket`'s constructor adds a
 * listener to the signal for each socket and never removes it, which keeps the socket in memory. Here listeners are
 * held weakly. Node uses nothing else of a signal.
 */
export class EndOfSockets {
  /** Always false: a socket made with an aborted signal is destroyed in its constructor and yet connects afterwards. */
  readonly aborted = false;
  readonly #listeners = new Set<WeakRef<() => void>>();
  #isOver = false;

  addEventListener(_type: 'abort', listener: () => void): void {
    if (this.#isOver) {
      setImmediate(listener);
      return;
    }
    for (const reference of this.#listeners) {
      if (reference.deref() === undefined) {
        this.#listeners.delete(reference);
      }
    }
    this.#listeners.add(new WeakRef(listener));
  }

  removeEventListener(_type: 'abort', listener: () => void): void {
    for (const reference of this.#listeners) {
      if (reference.deref() === listener) {
        this.#listeners.delete(reference);
      }
    }
  }

  /** Destroys every socket, and any that is opened later. */
  end(): void {
    this.#isOver = true;
    for (const reference of this.#listeners) {
      reference.deref()?.();
    }
    this.#listeners.clear();
  }
}
