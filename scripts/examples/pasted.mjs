/**
 * The README's example and the quickstart are pasted into what Nest's CLI makes. So they are compiled as they stand: in an
 * application of CommonJS, as Nest 11 makes them, and in one of ES modules, as Nest 12 does.
 */
import { posix } from 'node:path';
import ts from 'typescript';
import { blocksOf } from './blocks.mjs';
import { compile, errorsIn, PATHS, ROOT } from './compiler.mjs';

/** @typedef {import('./blocks.mjs').Example} Example */

export const PASTED = ['README.md', 'docs/quickstart.md'];
export const STARTERS = [
  { nest: 11, type: 'commonjs', importsEndIn: '' },
  { nest: 12, type: 'module', importsEndIn: '.js' },
];

/** What their tsconfig.json have in common, and `strict`, which Nest 11's leaves out. */
const OPTIONS = {
  target: ts.ScriptTarget.ES2023,
  module: ts.ModuleKind.NodeNext,
  moduleResolution: ts.ModuleResolutionKind.NodeNext,
  esModuleInterop: true,
  isolatedModules: true,
  emitDecoratorMetadata: true,
  experimentalDecorators: true,
  skipLibCheck: true,
  strict: true,
  strictPropertyInitialization: false,
  noEmit: true,
  types: ['node'],
  paths: PATHS,
};

/**
 * The file that a block is for, and the version of Nest if there is one block for each: `[src/main.ts (Nest 11)]`.
 * A block without a label is the module of the application.
 *
 * @type {(example: Example) => { path: string, nest?: number }}
 */
export function placeOf({ label = 'src/app.module.ts' }) {
  const [path = '', nest] = label.replace(')', '').split(' (Nest ');
  return nest === undefined ? { path } : { path, nest: Number(nest) };
}

/** @type {(page: string, nest: number) => Example[]} */
export const blocksFor = (page, nest) => blocksOf(page).filter((example) => (placeOf(example).nest ?? nest) === nest);

/**
 * The errors of each page, compiled in one go.
 *
 * @type {(...pages: string[]) => string[]}
 */
export function errorsOfPasted(...pages) {
  const applications = pages.flatMap((page) => STARTERS.map((starter) => ({ page, ...starter }))).map(applicationOf);
  const texts = new Map(applications.flatMap(({ files }) => [...files]));
  const program = compile([], OPTIONS, texts);
  const errors = applications.flatMap(({ nest, places }) =>
    places.flatMap(({ path, example }) =>
      errorsIn(program, path).map(
        ({ line, message }) =>
          `${example.file}:${example.line + line}: as pasted into Nest ${nest}, it does not compile: ${message}`,
      ),
    ),
  );
  return [...new Set(errors)];
}

/**
 * What the CLI makes, and the page's blocks in it.
 *
 * @param {{ page: string, nest: number, type: string, importsEndIn: string }} starter
 */
function applicationOf({ page, nest, type, importsEndIn }) {
  const folder = posix.join(ROOT, 'build/pasted', `${posix.basename(page)}-nest-${nest}`);
  const places = blocksFor(page, nest).map((example) => ({
    path: posix.join(folder, placeOf(example).path),
    example,
  }));
  if (places.length === 0) throw new Error(`${page} has no code to paste.`);
  const files = new Map([
    [posix.join(folder, 'package.json'), JSON.stringify({ type })],
    [
      posix.join(folder, 'src/main.ts'),
      `import { AppModule } from './app.module${importsEndIn}';\nconsole.log(AppModule);\n`,
    ],
    [posix.join(folder, 'src/app.controller.ts'), 'export class AppController {}\n'],
    [posix.join(folder, 'src/app.service.ts'), 'export class AppService {}\n'],
    ...places.map(({ path, example }) => /** @type {[string, string]} */ ([path, example.code])),
  ]);
  return { nest, files, places };
}
