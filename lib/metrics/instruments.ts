import type { Meter } from '@opentelemetry/api';

/** Seconds. A store in the same network replies within a millisecond, and `redisTimeout` is half a second. */
const BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** The attributes. `error.type` is OpenTelemetry's own: it is there where something failed, and only there. */
export const ERROR_TYPE = 'error.type';
export const STRATEGY = 'session_auth.login.strategy';
export const METHOD = 'session_auth.login.method';
export const END_REASON = 'session_auth.end.reason';
export const OUTCOME = 'session_auth.conflict.outcome';
export const OPERATION = 'session_auth.store.operation.name';

export type Instruments = ReturnType<typeof createInstruments>;

/**
 * Names, units and attributes follow OpenTelemetry's semantic conventions. Those have none for sessions and logins, so all
 * have a namespace of their own. The store's operations are not `db.client.operation.duration`: the Redis client's own
 * instrumentation reports that, one operation here may be several commands, and a store need not be a database.
 */
export function createInstruments(meter: Meter) {
  return {
    loginAttempts: meter.createCounter('session_auth.login.attempts', {
      unit: '{attempt}',
      description: 'Logins, and login attempts that failed (error.type).',
    }),
    loginSteps: meter.createCounter('session_auth.login.steps', {
      unit: '{step}',
      description: 'Steps of logins in several steps, without the last one, which is a login.',
    }),
    stepUps: meter.createCounter('session_auth.step_ups', {
      unit: '{step_up}',
      description: 'New proofs by users who were logged in.',
    }),
    endedSessions: meter.createCounter('session_auth.ended_sessions', {
      unit: '{session}',
      description: "Users' sessions that were ended. One that expires ends by itself, and is not counted.",
    }),
    reuseDetections: meter.createCounter('session_auth.reuse_detections', {
      unit: '{detection}',
      description: 'Copies of a cookie that were shown after their secret had been replaced.',
    }),
    refusals: meter.createCounter('session_auth.refusals', {
      unit: '{refusal}',
      description: 'Requests and messages that a session guard refused, and requests from other sites.',
    }),
    conflicts: meter.createCounter('session_auth.conflicts', {
      unit: '{conflict}',
      description: 'Changes of a session that met a newer version of it, and changes that were given up for that.',
    }),
    connections: meter.createObservableUpDownCounter('session_auth.connection.count', {
      unit: '{connection}',
      description: 'Open connections of this process that end with their session.',
    }),
    storeDuration: meter.createHistogram('session_auth.store.operation.duration', {
      unit: 's',
      description: 'Time that operations of the session store take.',
      advice: { explicitBucketBoundaries: BUCKETS },
    }),
  };
}
