import { Observable, type Observer, type Operator, Subscriber, type Subscription } from 'rxjs';

/**
 * An observable whose listeners may throw: the error is passed to `onError`, and the listener goes on listening. RxJS
 * itself would throw it again from a timer, which ends the process. Observables that are piped from this one behave the
 * same.
 */
export class GuardedObservable<T> extends Observable<T> {
  constructor(
    source$: Observable<T>,
    private readonly onError: (error: unknown) => void,
  ) {
    super((subscriber) => source$.subscribe(subscriber));
  }

  // RxJS 7 has no other way to find out what is piped from here.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  override lift<R>(operator?: Operator<T, R>): Observable<R> {
    // eslint-disable-next-line @typescript-eslint/no-deprecated
    return new GuardedObservable(super.lift(operator), this.onError);
  }

  override subscribe(listener?: Partial<Observer<T>> | ((value: T) => void) | null): Subscription {
    if (listener instanceof Subscriber) {
      return super.subscribe(listener); // An operator's. It passes errors on to its listener.
    }
    const { next, error, complete } = typeof listener === 'function' ? { next: listener } : bound(listener ?? {});
    return super.subscribe({
      next: (value) => {
        this.#guard(() => next?.(value));
      },
      error: (cause: unknown) => {
        this.#guard(() => {
          if (error === undefined) {
            throw cause;
          }
          error(cause);
        });
      },
      complete: () => {
        this.#guard(() => complete?.());
      },
    });
  }

  /** Runs a listener. An asynchronous one may reject. */
  #guard(listen: () => unknown): void {
    try {
      Promise.resolve(listen()).catch(this.onError);
    } catch (error) {
      this.onError(error);
    }
  }
}

function bound<T>(observer: Partial<Observer<T>>): Partial<Observer<T>> {
  return {
    next: observer.next?.bind(observer),
    error: observer.error?.bind(observer),
    complete: observer.complete?.bind(observer),
  };
}
