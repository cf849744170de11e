import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { cpus, loadavg } from 'node:os';
import { dirname } from 'node:path';
import type { RedisStage } from '../stage/redis-stage.js';
import type { Checkout, Circumstances } from './results.js';

const require = createRequire(import.meta.url);

/** The repository's root. This file itself runs from the build's output. */
export const ROOT = dirname(require.resolve('nestjs-session-auth/package.json'));

const PACKAGES = ['@nestjs/core', 'express', 'express-session', 'connect-redis', 'redis', 'passport', 'autocannon'];

/** The machine's load before the benchmark adds its own. */
const [load = NaN] = loadavg();

export interface Run {
  commandLine: string;
  begun: Date;
  /** The folder of another build of the library. */
  against: string | undefined;
}

export async function circumstances(redis: RedisStage, { commandLine, begun, against }: Run): Promise<Circumstances> {
  const server = await redis.info('server');
  return {
    date: begun.toISOString(),
    commandLine,
    ...checkout(ROOT),
    ...(against !== undefined && { against: { folder: against, ...checkout(against) } }),
    node: process.version,
    redis: server['redis_version'] ?? '?',
    processor: cpus()[0]?.model ?? '?',
    processors: cpus().length,
    packages: Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
    load,
    took: Math.round((Date.now() - begun.getTime()) / 1000),
  };
}

function checkout(folder: string): Checkout {
  const git = (...args: string[]) => spawnSync('git', args, { cwd: folder, encoding: 'utf8' }).stdout.trim();
  return { commit: git('rev-parse', 'HEAD'), modified: git('status', '--porcelain') !== '' };
}

/** By path, because not every package exports its package.json. */
function versionOf(name: string): string {
  try {
    return (require(`${ROOT}/node_modules/${name}/package.json`) as { version: string }).version;
  } catch {
    return '?';
  }
}
