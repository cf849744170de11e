/**
 * The redis-server that tests run: what `REDIS_SERVER_BIN` names, else `redis-server`, else `valkey-server` on PATH.
 * `undefined` when neither is there; throws when `REDIS_SERVER_BIN` is set and does not run.
 */
export function redisServerBinary(env?: NodeJS.ProcessEnv): string | undefined;

/** All of those that there are, once each: a suite can run on every one of them. */
export function redisServerBinaries(env?: NodeJS.ProcessEnv): string[];
