/**
 * Checks that every export which an application uses has an `@example`, and that each example compiles. So does the README's
 * quickstart.
 *
 * An example is a module of its own, compiled in strict mode against the sources. What it neither declares nor imports comes
 * from `examples-prelude.ts`.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';

/**
 * @typedef {{ owner: string, file: string, line: number, code: string }} Example `line` is that of the first line of code
 * @typedef {{ name: string, isValue: boolean, file: string, line: number, examples: Example[] }} Export
 */

/** With slashes on every system, as the compiler has them. */
const ROOT = posix.join(import.meta.dirname.replaceAll('\\', '/'), '..');
const SUBPATHS = ['health', 'testing', 'metrics', 'swagger'];
const ENTRIES = ['lib/index.ts', ...SUBPATHS.map((name) => `lib/${name}/index.ts`)];

/** Types without an example, and why: applications do not write them by themselves. */
const SHOWN_ELSEWHERE = new Map([
  ['Duration', 'a number or a string: shown with LifetimeOptions'],
  ['LifetimePreset', 'a word: shown with LifetimeOptions'],
  ['RoutePattern', 'shown with SessionAuthOptions, as `exclude`'],
  ['ResolvedSessionAuthOptions', 'only read: shown with SESSION_AUTH_OPTIONS'],
  ['FreshLoginChallenge', 'only read: shown with FreshLoginRequiredException'],
  ['RevocationReason', 'only read: shown with SessionEvent'],
  ['SessionAuthErrorCode', 'only read: shown with SessionAuthConfigurationError'],
]);

/** A module with mistakes. Unless they are found at each run, the checker itself is broken. */
const SELF_TEST = 'scripts/examples-self-test.ts';
const PROBLEMS_OF_SELF_TEST = [
  `${SELF_TEST}:2: BARE has no @example`,
  `${SELF_TEST}:4: BareOptions has no @example`,
  `${SELF_TEST}:38: UNMARKED has no @example`,
  `${SELF_TEST}:26: the example of WRONG does not compile: Type 'number' is not assignable to type 'string'.`,
  `${SELF_TEST}:43: the example of BROKEN does not compile: Parameter 'value' implicitly has an 'any' type.`,
  `${SELF_TEST}:44: the example of BROKEN does not compile: ')' expected.`,
  `${SELF_TEST}:44: the example of BROKEN does not compile: Cannot find name 'NoSuchName'.`,
];

const PRELUDE = 'scripts/examples-prelude.ts';

/** The text of each example's module, by its path. None is on disk. */
const modules = /** @type {Map<string, string>} */ (new Map());
const options = compilerOptions();
const host = hostWithModules();

const files = [...ENTRIES, PRELUDE, SELF_TEST].map((file) => posix.join(ROOT, file));
const sources = ts.createProgram(files, options, host);
const prelude = new Set(exportedSymbols(PRELUDE).map(({ name }) => name));
const exported = ENTRIES.flatMap(exportsOf);
const examples = [...exported.flatMap((one) => one.examples), ...quickstart()];
const faulty = exportsOf(SELF_TEST);
const [errors = [], errorsOfSelfTest = []] = errorsIn(
  examples,
  faulty.flatMap((one) => one.examples),
);

assert.deepEqual([...undocumented(faulty), ...errorsOfSelfTest], PROBLEMS_OF_SELF_TEST, 'The self-test failed.');
const problems = [...undocumented(exported), ...needlessExceptions(), ...errors];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`All ${examples.length} examples compile.`);

/** Those of the repository, without what is there for emitted code only. */
function compilerOptions() {
  const { config } = /** @type {{ config: unknown }} */ (
    ts.readConfigFile(posix.join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path))
  );
  return {
    ...ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, ROOT).options,
    isolatedModules: false,
    verbatimModuleSyntax: false,
    paths: {
      'nestjs-session-auth': [posix.join(ROOT, 'lib/index.ts')],
      ...Object.fromEntries(
        SUBPATHS.map((name) => [`nestjs-session-auth/${name}`, [posix.join(ROOT, `lib/${name}/index.ts`)]]),
      ),
    },
  };
}

function hostWithModules() {
  const host = ts.createCompilerHost(options, true);
  const disk = { ...host };
  host.fileExists = (path) => modules.has(path) || disk.fileExists(path);
  host.readFile = (path) => modules.get(path) ?? disk.readFile(path);
  return host;
}

/** @type {(entry: string) => ts.Symbol[]} */
function exportedSymbols(entry) {
  const checker = sources.getTypeChecker();
  const source = sources.getSourceFile(posix.join(ROOT, entry));
  const module = source && checker.getSymbolAtLocation(source);
  if (!module) throw new Error(`${entry} is no module.`);
  return checker.getExportsOfModule(module);
}

/** @type {(entry: string) => Export[]} */
function exportsOf(entry) {
  return exportedSymbols(entry).map((symbol) => {
    const { name } = symbol;
    const isAlias = (symbol.flags & ts.SymbolFlags.Alias) !== 0;
    const { flags, declarations = [] } = isAlias ? sources.getTypeChecker().getAliasedSymbol(symbol) : symbol;
    const [first] = declarations;
    if (!first) throw new Error(`${name} is declared nowhere.`);
    const { file, line } = placeOf(first);
    const examples = declarations.flatMap((declaration) => examplesAt(declaration, name));
    return { name, isValue: (flags & ts.SymbolFlags.Value) !== 0, file, line, examples };
  });
}

/**
 * Reads the comment's text: TypeScript takes a decorator at the beginning of a line for a tag, and would cut examples there.
 *
 * @type {(declaration: ts.Node, owner: string) => Example[]}
 */
function examplesAt(declaration, owner) {
  return ts
    .getJSDocCommentsAndTags(declaration)
    .filter(ts.isJSDoc)
    .flatMap((comment) => {
      const { file, line } = placeOf(comment);
      const lines = comment
        .getText()
        .split('\n')
        .map((text) => text.replace(/^\s*(\/\*\*|\*\/|\* ?)/, ''));
      const begin = lines.findIndex((text) => text.trim() === '@example');
      return begin < 0 ? [] : codeBlocks(lines.slice(begin), { owner, file, line: line + begin });
    });
}

/** The README's section "Quickstart" alone: later blocks are excerpts. */
function quickstart() {
  const lines = readFileSync(posix.join(ROOT, 'README.md'), 'utf8').split('\n');
  const begin = lines.indexOf('## Quickstart');
  const end = lines.findIndex((text, index) => index > begin && text.startsWith('## '));
  const blocks = codeBlocks(lines.slice(begin, end), { owner: 'Quickstart', file: 'README.md', line: begin + 1 });
  if (blocks.length === 0) throw new Error('README.md has no section "Quickstart" with examples.');
  return blocks;
}

/**
 * The fenced blocks of TypeScript.
 *
 * @type {(lines: string[], first: { owner: string, file: string, line: number }) => Example[]}
 */
function codeBlocks(lines, { owner, file, line }) {
  return lines.flatMap((text, index) => {
    if (text.trim() !== '```ts') return [];
    const begin = index + 1;
    const end = lines.findIndex((one, at) => at >= begin && one.trim() === '```');
    return { owner, file, line: line + begin, code: lines.slice(begin, end < 0 ? lines.length : end).join('\n') };
  });
}

/** @type {(node: ts.Node) => { file: string, line: number }} */
function placeOf(node) {
  const source = node.getSourceFile();
  const { line } = source.getLineAndCharacterOfPosition(node.getStart());
  return { file: posix.relative(ROOT, source.fileName), line: line + 1 };
}

/** @type {(exports: Export[]) => string[]} */
function undocumented(exports) {
  return exports
    .filter(({ name, isValue, examples }) => examples.length === 0 && (isValue || !SHOWN_ELSEWHERE.has(name)))
    .map(({ name, file, line }) => `${file}:${line}: ${name} has no @example`);
}

function needlessExceptions() {
  const bareTypes = exported.filter(({ isValue, examples }) => !isValue && examples.length === 0);
  return [...SHOWN_ELSEWHERE.keys()]
    .filter((name) => !bareTypes.some((type) => type.name === name))
    .map(
      (name) => `scripts/check-examples.mjs: SHOWN_ELSEWHERE names ${name}, which is no exported type without @example`,
    );
}

/**
 * Compiles all groups at once. Returns the errors of each.
 *
 * @type {(...groups: Example[][]) => string[][]}
 */
function errorsIn(...groups) {
  const paths = new Map(
    groups.flat().map((example, index) => [example, posix.join(ROOT, `scripts/example-${index}.ts`)]),
  );
  for (const [{ code }, path] of paths) {
    modules.set(path, `import { ${namesFromPrelude(code).join(', ')} } from './examples-prelude.js';\n${code}\n`);
  }
  const program = ts.createProgram([...files, ...modules.keys()], options, host, sources);
  return groups.map((examples) =>
    examples.flatMap((example) => errorsOf(program, example, program.getSourceFile(paths.get(example) ?? ''))),
  );
}

/** @type {(program: ts.Program, example: Example, module: ts.SourceFile | undefined) => string[]} */
function errorsOf(program, { owner, file, line }, module) {
  return [...program.getSyntacticDiagnostics(module), ...program.getSemanticDiagnostics(module)]
    .map(({ start = 0, messageText }) => ({
      // The example begins on the module's second line.
      at: line - 1 + (module?.getLineAndCharacterOfPosition(start).line ?? 0),
      message: ts.flattenDiagnosticMessageText(messageText, ' '),
    }))
    .sort((a, b) => a.at - b.at)
    .map(({ at, message }) => `${file}:${at}: the example of ${owner} does not compile: ${message}`);
}

/** @type {(code: string) => string[]} */
function namesFromPrelude(code) {
  const source = ts.createSourceFile('example.ts', code, ts.ScriptTarget.ES2022);
  const own = new Set(source.statements.flatMap(namesDeclaredBy));
  return [...new Set(identifiersIn(source))].filter((name) => prelude.has(name) && !own.has(name));
}

/** @type {(statement: ts.Statement) => string[]} */
function namesDeclaredBy(statement) {
  if (ts.isImportDeclaration(statement)) return identifiersIn(statement);
  if (ts.isVariableStatement(statement)) {
    return statement.declarationList.declarations.flatMap(({ name }) => identifiersIn(name));
  }
  const { name } = /** @type {{ name?: ts.Node }} */ (statement);
  return name && ts.isIdentifier(name) ? [name.text] : [];
}

/** @type {(node: ts.Node) => string[]} */
function identifiersIn(node) {
  if (ts.isIdentifier(node)) return [node.text];
  /** @type {string[]} */
  const found = [];
  ts.forEachChild(node, (child) => {
    found.push(...identifiersIn(child));
  });
  return found;
}
