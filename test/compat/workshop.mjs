import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { run, temporaryDirectory } from '../../scripts/pack.mjs';

const ROOT = resolve(import.meta.dirname, '../..');
const DOCUMENT = join(ROOT, 'docs/differences.md');

/**
 * The checkout that an environment variable names. Without one there is nothing to do, and this says how to get one.
 *
 * @param {string} variable
 * @param {string} repository
 * @param {string} tag the version these tests are known with
 */
export function checkoutFrom(variable, repository, tag) {
  const directory = process.env[variable];
  if (!directory) {
    console.log(`${variable} is not set: nothing to do. The tests are not part of this repository; to run them:

  git clone --depth 1 --branch ${tag} https://github.com/${repository} /tmp/${repository.replace('/', '-')}
  ${variable}=/tmp/${repository.replace('/', '-')} node ${process.argv[1]}
`);
    process.exit(0);
  }
  if (!existsSync(join(directory, 'package.json'))) {
    throw new Error(`${variable}: ${directory} is no checkout of ${repository}`);
  }
  return resolve(directory);
}

/**
 * A temporary directory with a copy of the checkout in `suite` and, compiled in `compiled`, this package and the shims.
 *
 * @param {string} checkout
 */
export function workshop(checkout) {
  const directory = temporaryDirectory();
  const compiled = join(directory, 'compiled');
  run('npx', ['--no-install', 'tsc', '-p', 'test/compat', '--noCheck', '--outDir', compiled], ROOT);
  writeFileSync(join(compiled, 'package.json'), '{ "type": "module" }');
  symlinkSync(join(ROOT, 'node_modules'), join(compiled, 'node_modules'), 'junction');
  const suite = join(directory, 'suite');
  cpSync(checkout, suite, { recursive: true, filter: (path) => !/[/\\](node_modules|\.git)$/.test(path) });
  return { suite, shims: join(compiled, 'test/compat'), modules: join(ROOT, 'node_modules') };
}

/**
 * The titles that stand in backquotes, each on a line of its own, below a heading of docs/differences.md.
 *
 * @param {string} heading
 * @returns {string[]}
 */
export function titlesBelow(heading) {
  const text = readFileSync(DOCUMENT, 'utf8');
  const [, hashes] = /^(#+) /.exec(heading) ?? [];
  const start = text.indexOf(`\n${heading}\n`);
  if (hashes === undefined || start === -1) throw new Error(`${DOCUMENT} has no heading "${heading}"`);
  const rest = text.slice(start + heading.length + 2);
  const end = rest.search(new RegExp(`^#{1,${hashes.length}} `, 'm'));
  const section = end === -1 ? rest : rest.slice(0, end);
  return [...section.matchAll(/^- `` ?(.+?) ?``|^- `(.+?)`/gm)].map((match) => match[1] ?? match[2] ?? '');
}

/**
 * Compares what failed with what the document says does. Reports each title that stands on one side alone.
 *
 * @param {string} what
 * @param {{ passed: string[], failed: string[] }} outcome
 * @param {string[]} expected the titles that are to fail
 * @param {(title: string) => string | undefined} [explain]
 * @returns {boolean} whether they agree
 */
export function agrees(what, { passed, failed }, expected, explain = () => undefined) {
  const unexpected = failed.filter((title) => !expected.includes(title));
  const better = expected.filter((title) => passed.includes(title));
  const unknown = expected.filter((title) => !passed.includes(title) && !failed.includes(title));
  console.log(`${what}: ${passed.length} passed, ${failed.length} failed, ${expected.length} of them expected to`);
  for (const title of unexpected)
    console.log(`  fails, and is not in docs/differences.md: ${title}\n    ${explain(title)}`);
  for (const title of better) console.log(`  passes, but stands in docs/differences.md: ${title}`);
  for (const title of unknown) console.log(`  stands in docs/differences.md, but there is no such test: ${title}`);
  return unexpected.length + better.length + unknown.length === 0;
}

/**
 * Titles made unique: the second of its name gets a number.
 *
 * @param {string[]} titles
 */
export function numbered(titles) {
  const seen = new Map();
  return titles.map((title) => {
    const count = (seen.get(title) ?? 0) + 1;
    seen.set(title, count);
    return count === 1 ? title : `${title} (${count})`;
  });
}
