/**
 * Checks that every export which an application uses has an `@example`, and that each example compiles. So do the README and
 * the pages in `docs/`.
 *
 * An example is a module of its own, compiled in strict mode against the sources. What it neither declares nor imports comes
 * from `examples-prelude.ts`. The pages that users paste from are compiled as they stand: see `examples/pasted.mjs`.
 */
import assert from 'node:assert/strict';
import { posix } from 'node:path';
import ts from 'typescript';
import { blocksOf, codeBlocks, PAGES } from './examples/blocks.mjs';
import { compile, errorsIn, repositoryOptions, ROOT, SUBPATHS } from './examples/compiler.mjs';
import { errorsOfPasted, PASTED } from './examples/pasted.mjs';

/**
 * @typedef {import('./examples/blocks.mjs').Example} Example
 * @typedef {{ name: string, isValue: boolean, file: string, line: number, examples: Example[] }} Export
 */

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

/** A module and a page with mistakes. Unless they are found at each run, the checker itself is broken. */
const SELF_TEST = 'scripts/examples-self-test.ts';
const PAGE_OF_SELF_TEST = 'scripts/examples-self-test.md';
const PROBLEMS_OF_SELF_TEST = [
  `${SELF_TEST}:2: BARE has no @example`,
  `${SELF_TEST}:4: BareOptions has no @example`,
  `${SELF_TEST}:38: UNMARKED has no @example`,
  `${SELF_TEST}:26: the example of WRONG does not compile: Type 'number' is not assignable to type 'string'.`,
  `${SELF_TEST}:43: the example of BROKEN does not compile: Parameter 'value' implicitly has an 'any' type.`,
  `${SELF_TEST}:44: the example of BROKEN does not compile: ')' expected.`,
  `${SELF_TEST}:44: the example of BROKEN does not compile: Cannot find name 'NoSuchName'.`,
  `${PAGE_OF_SELF_TEST}:8: the example of the page does not compile: Type 'string' is not assignable to type 'number'.`,
  ...[11, 12].flatMap((nest) =>
    [4, 8].map(
      (line) =>
        `${PAGE_OF_SELF_TEST}:${line}: as pasted into Nest ${nest}, it does not compile: Cannot find name 'User'.`,
    ),
  ),
];

const PRELUDE = 'scripts/examples-prelude.ts';

const options = repositoryOptions();
const files = [...ENTRIES, PRELUDE, SELF_TEST].map((file) => posix.join(ROOT, file));
const sources = compile(files, options);
const prelude = new Set(exportedSymbols(PRELUDE).map(({ name }) => name));
const exported = ENTRIES.flatMap(exportsOf);
const pages = PAGES.filter((page) => !PASTED.includes(page));
const examples = [...exported.flatMap((one) => one.examples), ...pages.flatMap(blocksOf)];
const faulty = exportsOf(SELF_TEST);
const [errors = [], errorsOfSelfTest = []] = errorsOf(examples, [
  ...faulty.flatMap((one) => one.examples),
  ...blocksOf(PAGE_OF_SELF_TEST),
]);

const pasted = errorsOfPasted(...PASTED, PAGE_OF_SELF_TEST);
const [errorsOfPages = [], pastedSelfTest = []] = [false, true].map((isSelfTest) =>
  pasted.filter((error) => error.startsWith(PAGE_OF_SELF_TEST) === isSelfTest),
);

assert.deepEqual(
  [...undocumented(faulty), ...errorsOfSelfTest, ...pastedSelfTest],
  PROBLEMS_OF_SELF_TEST,
  'The self-test failed.',
);
const problems = [...undocumented(exported), ...needlessExceptions(), ...errors, ...errorsOfPages];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(`All ${examples.length + PASTED.flatMap(blocksOf).length} examples compile.`);

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
function errorsOf(...groups) {
  const paths = new Map(
    groups.flat().map((example, index) => [example, posix.join(ROOT, `scripts/example-${index}.ts`)]),
  );
  const texts = new Map([...paths].map(([{ code }, path]) => [path, `${importOf(code)}\n${code}\n`]));
  const program = compile(files, options, texts, sources);
  return groups.map((group) =>
    group.flatMap((example) =>
      errorsIn(program, paths.get(example) ?? '').map(
        // The example begins on the module's second line.
        ({ line, message }) =>
          `${example.file}:${example.line + line - 1}: the example of ${example.owner} does not compile: ${message}`,
      ),
    ),
  );
}

/** @type {(code: string) => string} */
function importOf(code) {
  return `import { ${namesFromPrelude(code).join(', ')} } from './examples-prelude.js';`;
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
