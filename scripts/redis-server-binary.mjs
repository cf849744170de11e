import { spawnSync } from 'node:child_process';

/**
 * The redis-server that tests run: what `REDIS_SERVER_BIN` names (a path or a name on PATH), else `redis-server`,
 * else `valkey-server`. `undefined` when neither is there; throws when `REDIS_SERVER_BIN` is set and does not run,
 * because quietly testing another server than the one asked for would prove nothing.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | undefined}
 */
export function redisServerBinary(env = process.env) {
  const asked = env.REDIS_SERVER_BIN;
  if (asked && !runs(asked, env)) throw new Error(`REDIS_SERVER_BIN is "${asked}", which does not run with --version`);
  return asked || ['redis-server', 'valkey-server'].find((name) => runs(name, env));
}

/** @type {(binary: string, env: NodeJS.ProcessEnv) => boolean} */
function runs(binary, env) {
  return spawnSync(binary, ['--version'], { env, stdio: 'ignore', timeout: 10_000 }).status === 0;
}
