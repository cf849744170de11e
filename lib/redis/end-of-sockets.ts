/**
 * An `AbortSignal` for sockets that come and go for as long as a process lives. Node leaves a listener, and with it the
 * socket, at the signal for each that it opens (`net.Socket`'s constructor); here they are held weakly. Node asks nothing
 * more of a signal than this.
 */
export class EndOfSockets {
  aborted = false;
  #listeners = new Set<WeakRef<() => void>>();

  addEventListener(_type: 'abort', listener: () => void): void {
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
    this.aborted = true;
    for (const reference of this.#listeners) {
      reference.deref()?.();
    }
    this.#listeners.clear();
  }
}
