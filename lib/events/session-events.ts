import { Injectable, Logger } from '@nestjs/common';
import { type Observable, Subject } from 'rxjs';
import type { NewSessionEvent, SessionEvent } from '../model/session-event.js';
import { GuardedObservable } from './guarded-observable.js';

/**
 * A stream of what happens to the application's sessions. Each event follows the fact that it reports. A listener that
 * throws is logged and goes on listening. It disturbs neither the request nor other listeners.
 *
 * @example
 * ```ts
 * @Injectable()
 * class ReuseAlarm {
 *   constructor({ events$ }: SessionEvents) {
 *     events$.subscribe((event) => {
 *       if (event.type === 'reuse-detected') {
 *         console.warn(`A copied cookie was used for a session of user ${event.userId}.`);
 *       }
 *     });
 *   }
 * }
 * ```
 */
@Injectable()
export class SessionEvents {
  readonly #logger = new Logger('SessionEvents');
  readonly #subject = new Subject<SessionEvent>();

  /** Hot: a subscriber receives what happens from then on. Completes when the application closes. */
  readonly events$: Observable<SessionEvent> = new GuardedObservable(this.#subject, (error) => {
    this.#logger.error('A listener to session events threw.', error);
  });

  /** @internal */
  emit(event: NewSessionEvent, at: number): void {
    this.#subject.next({ ...event, at: new Date(at) });
  }

  /** @internal */
  close(): void {
    this.#subject.complete();
  }
}
