import type { INestApplicationContext } from '@nestjs/common';
import { SessionEvents } from '../events/session-events.js';
import type { SessionEvent } from '../model/session-event.js';

/**
 * The events of an application, since `recordEvents(app)` was called. It can be iterated.
 *
 * @example
 * ```ts
 * function handlesOf(events: RecordedEvents): string[] {
 *   return [...events].flatMap(({ handle }) => handle ?? []);
 * }
 * ```
 */
export interface RecordedEvents extends Iterable<SessionEvent> {
  /** All of them, in order. */
  readonly all: readonly SessionEvent[];
  /** Those of one type, in order, with the properties of that type. */
  ofType<Type extends SessionEvent['type']>(type: Type): Extract<SessionEvent, { type: Type }>[];
  /** Records no more. What is recorded stays. */
  stop(): void;
}

/**
 * Records what happens to an application's sessions from now on, until `stop()` or the end of the application. What a
 * login, a logout or a revocation reports is there when that has resolved.
 *
 * @example
 * ```ts
 * async function testLogin(app: INestApplication, logIn: () => Promise<void>) {
 *   const events = recordEvents(app);
 *   await logIn();
 *   expect(events.ofType('logged-in')).toMatchObject([{ userId: '1', method: 'password' }]);
 * }
 * ```
 */
export function recordEvents(app: INestApplicationContext): RecordedEvents {
  const all: SessionEvent[] = [];
  const subscription = app.get(SessionEvents, { strict: false }).events$.subscribe((event) => {
    all.push(event);
  });
  return {
    all,
    ofType: <Type extends SessionEvent['type']>(type: Type) =>
      all.filter((event): event is Extract<SessionEvent, { type: Type }> => event.type === type),
    stop: () => {
      subscription.unsubscribe();
    },
    [Symbol.iterator]: () => all[Symbol.iterator](),
  };
}
