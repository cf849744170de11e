/** Puts another major version of Nest in place of that of package-lock.json: `node scripts/use-nest.mjs 11`. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from './pack.mjs';

const ROOT = join(import.meta.dirname, '..');
const nest = Number(process.argv[2]);

/** Whose versions are two ahead of Nest's. */
const GRAPHQL = new Set(['@nestjs/apollo', '@nestjs/graphql', '@nestjs/mercurius']);

const { devDependencies } = /** @type {{ devDependencies: Record<string, string> }} */ (
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
);
const packages = Object.keys(devDependencies).filter((name) => name.startsWith('@nestjs/') && name !== '@nestjs/cli');
const wanted = packages.map((name) => `${name}@${GRAPHQL.has(name) ? nest + 2 : nest}`);
console.log(`Installing ${wanted.join(' ')}`);
run('npm', ['install', '--no-save', '--no-package-lock', '--no-audit', '--no-fund', ...wanted], ROOT);
