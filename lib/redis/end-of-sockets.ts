/**
 * An `AbortSignal` for sockets that come and go for as long as a process lives. Node leaves a listener, and with it the
 * socket, at the signal for each that it opens (`net.Socket`'s constructor); here they are held weakly. Node asks nothing
 * more of a signal than this.
 */
export class EndOfSockets {
  /** Never: a socket made by an aborted signal is destroyed in its constructor, and comes to life again as it connects. */
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

  /** Ends every socket that there is, and any that is opened yet. */
  end(): void {
    this.#isOver = true;
    for (const reference of this.#listeners) {
      reference.deref()?.();
    }
    this.#listeners.clear();
  }
}
