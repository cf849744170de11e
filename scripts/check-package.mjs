/** Checks the package as users get it: what is in it, how it resolves, and that no optional peer is needed to load it. */
import { readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import ts from 'typescript';
import { pack, run } from './pack.mjs';

const ROOT = join(import.meta.dirname, '..');
const ALLOWED = /^(README\.md|LICENSE|package\.json|dist\/(esm|cjs)\/.+\.(js|d\.ts)|dist\/cjs\/package\.json)$/;
const MAIN_ENTRIES = ['esm', 'cjs'].flatMap((form) => [`dist/${form}/index.js`, `dist/${form}/index.d.ts`]);
const REQUIRED = ['README.md', 'LICENSE', 'package.json', 'dist/cjs/package.json', ...MAIN_ENTRIES];

const { peerDependenciesMeta } = /** @type {{ peerDependenciesMeta: Record<string, { optional?: boolean }> }} */ (
  JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8'))
);
/** Its types are installed wherever connect-redis is, whose declarations name them, too. */
const ALWAYS_DECLARED = 'redis';
const optionalPeers = Object.keys(peerDependenciesMeta).filter((name) => peerDependenciesMeta[name]?.optional);

const { tarball, files } = pack();
const problems = [
  ...files.filter((file) => !ALLOWED.test(file)).map((file) => `${file} does not belong into the package`),
  ...REQUIRED.filter((file) => !files.includes(file)).map((file) => `${file} is missing from the package`),
  ...MAIN_ENTRIES.flatMap(optionalPeersLoadedBy),
  ...failureOf('publint', 'run', tarball, '--strict'),
  ...failureOf('attw', tarball, '--no-definitely-typed'),
];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`The package is sound: ${files.length} files, publint and attw have no complaints.`);

/**
 * Walks static imports only: a file behind `import()`, or behind `require()` in a function, loads when somebody uses it.
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
      else if (specifier === ALWAYS_DECLARED && file.endsWith('.d.ts')) continue;
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
 * In a declaration file `import('x').Y` is as static as the rest. `declare module 'x'` adds to a module where it is
 * installed, and needs it nowhere.
 *
 * @param {string} file
 */
function staticImportsOf(file) {
  const source = readFileSync(join(ROOT, file), 'utf8');
  if (file.endsWith('.d.ts')) {
    const imports = source.replace(/^declare module '.+'/gm, 'declare namespace added');
    return ts.preProcessFile(imports).importedFiles.map(({ fileName }) => fileName);
  }
  const sourceFile = ts.createSourceFile(file, source, ts.ScriptTarget.ES2022);
  return [...importsOf(sourceFile), ...requiresOf(sourceFile)].filter(ts.isStringLiteral).map(({ text }) => text);
}

/** @type {(sourceFile: ts.SourceFile) => ts.Node[]} */
function importsOf({ statements }) {
  return statements.flatMap((statement) => {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) return [];
    return statement.moduleSpecifier ?? [];
  });
}

/**
 * The arguments of `require()`, wherever it is called while the file loads.
 *
 * @type {(node: ts.Node) => ts.Node[]}
 */
function requiresOf(node) {
  if (ts.isFunctionLike(node)) return [];
  const required =
    ts.isCallExpression(node) && ts.isIdentifier(node.expression) && node.expression.text === 'require'
      ? [...node.arguments]
      : [];
  /** @type {ts.Node[]} */
  const nested = [];
  ts.forEachChild(node, (child) => {
    nested.push(...requiresOf(child));
  });
  return [...required, ...nested];
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
