/**
 * The redis-server that tests run: what `REDIS_SERVER_BIN` names, else `redis-server`, else `valkey-server` on PATH.
 * `undefined` when neither is there; throws when `REDIS_SERVER_BIN` is set and does not run.
 */
export function redisServerBinary(env?: NodeJS.ProcessEnv): string | undefined;
