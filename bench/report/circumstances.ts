import { spawnSync } from 'node:child_process';
import { createRequire } from 'node:module';
import { cpus, loadavg } from 'node:os';
import { dirname } from 'node:path';
import type { RedisStage } from '../stage/redis-stage.js';
import type { Circumstances } from './results.js';

const require = createRequire(import.meta.url);

/** The repository: this file runs from a directory that the build made. */
export const ROOT = dirname(require.resolve('nestjs-session-auth/package.json'));

const PACKAGES = ['@nestjs/core', 'express', 'express-session', 'connect-redis', 'redis', 'passport', 'autocannon'];

/** The machine's load when this file was loaded: before the benchmark's own. */
const [load = NaN] = loadavg();

export async function circumstances(redis: RedisStage, commandLine: string, begun: Date): Promise<Circumstances> {
  const server = await redis.info('server');
  return {
    date: begun.toISOString(),
    commandLine,
    commit: git('rev-parse', 'HEAD'),
    modified: git('status', '--porcelain') !== '',
    node: process.version,
    redis: server['redis_version'] ?? '?',
    processor: cpus()[0]?.model ?? '?',
    processors: cpus().length,
    packages: Object.fromEntries(PACKAGES.map((name) => [name, versionOf(name)])),
    load,
    took: Math.round((Date.now() - begun.getTime()) / 1000),
  };
}

function git(...args: string[]): string {
  return spawnSync('git', args, { cwd: ROOT, encoding: 'utf8' }).stdout.trim();
}

/** Not every package lets its package.json be asked for. */
function versionOf(name: string): string {
  try {
    return (require(`${ROOT}/node_modules/${name}/package.json`) as { version: string }).version;
  } catch {
    return '?';
  }
}
