import { spawnSync } from 'node:child_process';

/**
 * The Chromium that tests drive: what `CHROMIUM_BIN` names (a path or a name on PATH), else one of the usual names.
 * `undefined` when there is none.
 *
 * @param {NodeJS.ProcessEnv} [env]
 * @returns {string | undefined}
 */
export function chromiumBinary(env = process.env) {
  const candidates = env.CHROMIUM_BIN ? [env.CHROMIUM_BIN] : ['chromium', 'chromium-browser', 'google-chrome'];
  return candidates.find((name) => spawnSync(name, ['--version'], { env, timeout: 30_000 }).status === 0);
}
