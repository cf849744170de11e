import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

const READY_WITHIN = 100_000;
const STOPPED_WITHIN = 5_000;

/** Lets the exit handlers below run when this script is told to stop. */
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => process.exit(1));

/**
 * A process that runs beside this script and, with all that it starts, ends with it.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd: string, env?: NodeJS.ProcessEnv }} options
 */
export function start(command, args, options) {
  const child = spawn(command, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += String(chunk)));
  const exited = once(child, 'exit');

  /** @param {NodeJS.Signals} signal */
  const killGroup = (signal) => {
    try {
      if (child.pid) process.kill(-child.pid, signal);
    } catch {
      // The whole group has ended.
    }
  };
  process.on('exit', () => {
    killGroup('SIGKILL');
  });

  return {
    output: () => output,

    /**
     * Waits until `ready` gives something truthy.
     *
     * @template T
     * @param {(output: string) => T | Promise<T>} ready
     */
    async until(ready) {
      for (const deadline = Date.now() + READY_WITHIN; Date.now() < deadline && child.exitCode === null;) {
        const response = await ready(output);
        if (response) return response;
        await Promise.race([exited, sleep(50)]);
      }
      throw new Error(`${command} ${args.join(' ')} did not start\n${output}`);
    },

    async stop() {
      killGroup('SIGTERM');
      await Promise.race([exited, sleep(STOPPED_WITHIN, undefined, { ref: false })]);
      killGroup('SIGKILL');
    },
  };
}
