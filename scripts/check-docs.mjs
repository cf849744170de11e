/** Checks that the lists in `docs/` are complete, and that every link leads to a file, and to a heading that is there. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { posix } from 'node:path';
import ts from 'typescript';
import { PAGES } from './examples/blocks.mjs';
import { ROOT } from './examples/compiler.mjs';

/** Where the parts of an option are declared. */
const PARTS = {
  cookie: 'CookieOptions',
  lifetime: 'LifetimeOptions',
  maxSessions: 'MaxSessionsOptions',
  connections: 'ConnectionOptions',
};

const problems = [...optionsPage(), ...errorCodesPage(), ...PAGES.flatMap(badLinks), ...badLinksOfStartPage()];
for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exit(1);
console.log(
  `The lists of options and error codes are complete, and the links of ${PAGES.length} pages lead somewhere.`,
);

function optionsPage() {
  const page = 'docs/options.md';
  const source = parse('lib/session-auth.options.ts');
  const rows = new Map(rowsOf(page).map((row) => [nameIn(row), row]));
  const parts = Object.entries(PARTS).flatMap(([option, type]) =>
    namesIn(source, type)
      .filter((part) => !rows.get(option)?.includes(part))
      .map((part) => `${page}: the row of ${option} does not name ${part}`),
  );
  return [...differences(page, [...rows.keys()], namesIn(source, 'SessionAuthOptions')), ...parts];
}

function errorCodesPage() {
  const page = 'docs/error-codes.md';
  const source = parse('lib/session-auth.errors.ts');
  const exceptions = source.statements
    .filter(ts.isClassDeclaration)
    .map(({ name }) => name?.text ?? '')
    .filter((name) => !read(page).includes(`\`${name}\``))
    .map((name) => `${page} does not name ${name}`);
  return [...differences(page, rowsOf(page).map(nameIn), namesIn(source, 'SessionAuthErrorCode')), ...exceptions];
}

/** @type {(page: string, listed: string[], declared: string[]) => string[]} */
function differences(page, listed, declared) {
  return [
    ...declared.filter((name) => !listed.includes(name)).map((name) => `${page} does not list ${name}`),
    ...listed.filter((name) => !declared.includes(name)).map((name) => `${page} lists ${name}, which does not exist`),
  ];
}

/** @type {(file: string) => ts.SourceFile} */
function parse(file) {
  return ts.createSourceFile(file, read(file), ts.ScriptTarget.ES2022);
}

/** The properties of an interface, or the texts of a union. @type {(source: ts.SourceFile, type: string) => string[]} */
function namesIn(source, type) {
  return source.statements.flatMap((statement) => {
    if (ts.isInterfaceDeclaration(statement) && statement.name.text === type) {
      return statement.members.map(({ name }) => (name && ts.isIdentifier(name) ? name.text : ''));
    }
    if (ts.isTypeAliasDeclaration(statement) && statement.name.text === type && ts.isUnionTypeNode(statement.type)) {
      return statement.type.types.map((one) =>
        ts.isLiteralTypeNode(one) && ts.isStringLiteral(one.literal) ? one.literal.text : '',
      );
    }
    return [];
  });
}

/** The rows of a page's tables that begin with a name, without the tables' heads. @type {(page: string) => string[]} */
function rowsOf(page) {
  return [...read(page).matchAll(/^\| `\w+` +\|.*$(?!\n\| -)/gm)].map(([row]) => row);
}

/** @type {(row: string) => string} */
function nameIn(row) {
  return /`(\w+)`/.exec(row)?.[1] ?? '';
}

/** @type {(page: string) => string[]} */
function badLinks(page) {
  const prose = read(page).replace(/^ *```[^]*?^ *```$/gm, '');
  return [...prose.matchAll(/\]\((?!https?:|mailto:|\/)([^)\s#]*)(?:#([^)\s]*))?\)/g)].flatMap(
    ([, path = '', anchor]) => {
      const target = path === '' ? page : posix.join(posix.dirname(page), path);
      if (!existsSync(posix.join(ROOT, target))) return `${page}: there is no ${target}`;
      if (anchor === undefined || !target.endsWith('.md') || anchorsOf(target).includes(anchor)) return [];
      return `${page}: ${target} has no heading #${anchor}`;
    },
  );
}

/** Its links stand before its text, where VitePress does not check them. */
function badLinksOfStartPage() {
  const page = 'docs/index.md';
  return [...read(page).matchAll(/^ +(?:link|src): \/(.*)$/gm)]
    .map(([, path = '']) => path)
    .filter(
      (path) => !['', '.md', 'index.md'].some((end) => isFile(`docs/${path}${end}`)) && !isFile(`docs/public/${path}`),
    )
    .map((path) => `${page}: there is no /${path}`);
}

/** As VitePress makes them. @type {(page: string) => string[]} */
function anchorsOf(page) {
  const prose = read(page).replace(/^ *```[^]*?^ *```$/gm, '');
  return [...prose.matchAll(/^#+ (.+)$/gm)].map(([, heading = '']) =>
    heading
      .replace(/\[([^\]]*)\]\([^)]*\)/g, '$1')
      .replace(/[\s~`!@#$%^&*()\-_+=[\]{}|\\;:"'<>,.?/]+/g, '-')
      .replace(/^-|-$/g, '')
      .replace(/^(\d)/, '_$1')
      .toLowerCase(),
  );
}

/** @type {(path: string) => boolean} */
function isFile(path) {
  return existsSync(posix.join(ROOT, path)) && statSync(posix.join(ROOT, path)).isFile();
}

/** @type {(file: string) => string} */
function read(file) {
  return readFileSync(posix.join(ROOT, file), 'utf8');
}
