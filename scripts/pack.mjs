import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const ROOT = join(import.meta.dirname, '..');

/**
 * Builds the library, unless `PREBUILT` says that this has been done, and packs it as `npm publish` would, into a
 * directory that goes with this process.
 *
 * @returns {{ directory: string, tarball: string, files: string[] }} the paths inside the package are in `files`
 */
export function pack() {
  const directory = temporaryDirectory();
  if (!process.env.PREBUILT) run('npm', ['run', '--silent', 'build'], ROOT);
  const report = run('npm', ['pack', '--ignore-scripts', '--json', '--pack-destination', directory], ROOT);
  const [packed] = /** @type {{ filename: string, files: { path: string }[] }[]} */ (JSON.parse(report));
  if (!packed) throw new Error(`npm pack reported no package: ${report}`);
  return { directory, tarball: join(directory, packed.filename), files: packed.files.map(({ path }) => path) };
}

/** A directory outside the repository, so that nothing is found in its node_modules by accident. */
export function temporaryDirectory() {
  const directory = mkdtempSync(join(tmpdir(), 'nestjs-session-auth-'));
  process.on('exit', () => {
    rmSync(directory, { recursive: true, force: true });
  });
  return directory;
}

/**
 * Runs a command to its end and returns what it wrote to stdout; a failure throws with all that it wrote.
 *
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 * @param {NodeJS.ProcessEnv} env beside that of this process
 */
export function run(command, args, cwd, env = {}) {
  const options = {
    cwd,
    env: { ...process.env, ...env },
    shell: process.platform === 'win32',
    maxBuffer: 64 * 1024 * 1024,
  };
  const { status, stdout, stderr, error } = spawnSync(command, args, { ...options, encoding: 'utf8' });
  if (status === 0) return stdout;
  throw new Error(`${command} ${args.join(' ')} failed in ${cwd}\n${error?.message ?? stdout + stderr}`);
}
