import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ROOT } from '../report/circumstances.js';

const APPLICATIONS = join(import.meta.dirname, '../app');
const TARGET = join(ROOT, 'build/bench-before');
const NAME = 'nestjs-session-auth';

interface Manifest {
  name: string;
  files?: string[];
  dependencies?: Record<string, string>;
}

/**
 * Installs the library that was built in another checkout, with a copy of the benchmark's applications beside it, so that
 * Node resolves the library's name, through the `exports` of its package.json, to that build.
 *
 * Only what npm would publish is copied. Its dependencies are linked from its own checkout; its peers (Nest, redis,
 * express-session, Passport) are found in this repository's node_modules, the same copies that `ours` uses.
 *
 * @returns the folder of the applications
 * @throws Error when the folder holds no build of the library
 */
export function installBuild(folder: string): string {
  const manifest = join(folder, 'package.json');
  if (!existsSync(manifest)) throw new Error(`${folder} has no package.json.`);
  const { name, files = [], dependencies = {} } = JSON.parse(readFileSync(manifest, 'utf8')) as Manifest;
  if (name !== NAME) throw new Error(`${folder} holds ${name}, not ${NAME}.`);
  if (!existsSync(join(folder, 'dist'))) throw new Error(`${folder} is not built: run "npm run build" there.`);

  const library = join(TARGET, 'node_modules', NAME);
  const applications = join(TARGET, 'app');
  rmSync(TARGET, { recursive: true, force: true });
  for (const file of ['package.json', ...files].filter((name) => existsSync(join(folder, name)))) {
    cpSync(join(folder, file), join(library, file), { recursive: true });
  }
  for (const dependency of Object.keys(dependencies)) {
    const installed = join(folder, 'node_modules', dependency);
    if (existsSync(installed)) link(installed, join(library, 'node_modules', dependency));
  }
  cpSync(APPLICATIONS, applications, { recursive: true });
  // Without it, the applications would belong to this repository's package, and its name would mean that one.
  writeFileSync(join(TARGET, 'package.json'), '{ "type": "module" }\n');
  return applications;
}

function link(target: string, path: string): void {
  mkdirSync(dirname(path), { recursive: true });
  symlinkSync(target, path, 'junction');
}
