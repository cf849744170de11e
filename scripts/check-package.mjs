/** Checks the package as users get it: what is in it, how it resolves, and that no optional peer is needed to load it. */
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';
import { pack, run } from './pack.mjs';

const ROOT = join(import.meta.dirname, '..');
const ALLOWED = /^(README\.md|LICENSE|package\.json|dist\/.+\.(js|d\.ts)|docs\/.+\.md)$/;
const REQUIRED = ['README.md', 'LICENSE', 'package.json', 'dist/index.js', 'dist/index.d.ts', 'docs/operations.md'];

const { peerDependenciesMeta } = /** @type {{ peerDependenciesMeta: Record<string, { optional?: boolean }> }} */ (
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
);
const optionalPeers = Object.keys(peerDependenciesMeta).filter((name) => peerDependenciesMeta[name]?.optional);

const { tarball, files } = pack();
const problems = [
  ...files.filter((file) => !ALLOWED.test(file)).map((file) => `${file} does not belong into the package`),
  ...REQUIRED.filter((file) => !files.includes(file)).map((file) => `${file} is missing from the package`),
  ...['dist/index.js', 'dist/index.d.ts'].flatMap(optionalPeersLoadedBy),
  ...failureOf('publint', 'run', tarball, '--strict'),
  ...failureOf('attw', tarball, '--profile', 'esm-only', '--no-definitely-typed'),
];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`The package is sound: ${files.length} files, publint and attw have no complaints.`);

/**
 * Walks static imports only: a file behind `import()` loads when somebody uses it.
 *
 * @param {string} entry
 */
function optionalPeersLoadedBy(entry) {
  const seen = new Set([entry]);
  /** @type {string[]} */
  const found = [];
  for (const file of seen) {
    for (const specifier of staticImportsOf(file)) {
      if (specifier.startsWith('.')) seen.add(fileOf(specifier, file));
      else if (optionalPeers.some((peer) => specifier === peer || specifier.startsWith(`${peer}/`)))
        found.push(`${file}, which the main entry loads, imports the optional peer ${specifier}`);
    }
  }
  return found;
}

/** @type {(specifier: string, importer: string) => string} */
function fileOf(specifier, importer) {
  const file = normalize(join(dirname(importer), specifier));
  return importer.endsWith('.d.ts') ? file.replace(/\.js$/, '.d.ts') : file;
}

/**
 * In a declaration file `import('x').Y` is as static as the rest.
 *
 * @param {string} file
 */
function staticImportsOf(file) {
  const source = readFileSync(join(ROOT, file), 'utf8');
  if (file.endsWith('.d.ts')) return ts.preProcessFile(source).importedFiles.map(({ fileName }) => fileName);
  return ts.createSourceFile(file, source, ts.ScriptTarget.ES2022).statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    const specifier = statement.moduleSpecifier;
    return specifier && ts.isStringLiteral(specifier) ? [specifier.text] : [];
  });
}

/** @type {(tool: string, ...args: string[]) => string[]} */
function failureOf(tool, ...args) {
  try {
    run('npx', ['--no-install', tool, ...args], ROOT);
    return [];
  } catch (error) {
    return [String(error)];
  }
}
