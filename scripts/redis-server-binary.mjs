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
  return candidates(env).find((name) => versionOf(name, env));
}

/**
 * All of them that there are, for a suite that wants to run on each: the one that `REDIS_SERVER_BIN` names and no other,
 * or `redis-server` and `valkey-server`. Where one is a link to the other, as packages for migration make it, it is one.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string[]}
 */
export function redisServerBinaries(env = process.env) {
  const versions = candidates(env).map((name) => ({ name, version: versionOf(name, env) }));
  return versions
    .filter(({ version }, i) => version && versions.findIndex((other) => other.version === version) === i)
    .map(({ name }) => name);
}

/** @type {(env: NodeJS.ProcessEnv) => string[]} */
function candidates(env) {
  const asked = env.REDIS_SERVER_BIN;
  if (asked && !versionOf(asked, env)) {
    throw new Error(`REDIS_SERVER_BIN is "${asked}", which does not run with --version`);
  }
  return asked ? [asked] : ['redis-server', 'valkey-server'];
}

/** @type {(binary: string, env: NodeJS.ProcessEnv) => string | undefined} */
function versionOf(binary, env) {
  const { status, stdout } = spawnSync(binary, ['--version'], { env, encoding: 'utf8', timeout: 10_000 });
  return status === 0 ? stdout : undefined;
}
