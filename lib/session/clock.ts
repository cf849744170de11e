/** The time, in milliseconds since 1970. Tests give their own. */
export interface Clock {
  now(): number;
}

/** Injection token of the {@link Clock}; the system's unless overridden. */
export const CLOCK = Symbol('nestjs-session-auth:clock');

/** The system's time. */
export const systemClock: Clock = { now: () => Date.now() };
