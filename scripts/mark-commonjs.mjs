/** Tells Node and TypeScript that the files of `dist/cjs` are CommonJS, although the package's `type` is `module`. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

const marker = join(import.meta.dirname, '../dist/cjs/package.json');
writeFileSync(marker, JSON.stringify({ type: 'commonjs', sideEffects: false }) + '\n');
