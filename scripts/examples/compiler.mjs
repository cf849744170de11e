import { posix } from 'node:path';
import ts from 'typescript';

/** With slashes on every system, as the compiler has them. */
export const ROOT = posix.join(import.meta.dirname.replaceAll('\\', '/'), '../..');
export const SUBPATHS = ['health', 'testing', 'metrics', 'swagger'];

/** The package's name leads to the sources. */
export const PATHS = {
  'nestjs-session-auth': [posix.join(ROOT, 'lib/index.ts')],
  ...Object.fromEntries(
    SUBPATHS.map((name) => [`nestjs-session-auth/${name}`, [posix.join(ROOT, `lib/${name}/index.ts`)]]),
  ),
};

/** The compiler options of the repository, without what is there for emitted code only. */
export function repositoryOptions() {
  const { config } = /** @type {{ config: unknown }} */ (
    ts.readConfigFile(posix.join(ROOT, 'tsconfig.json'), (path) => ts.sys.readFile(path))
  );
  return {
    ...ts.parseJsonConfigFileContent(config, { ...ts.sys, readDirectory: () => [] }, ROOT).options,
    isolatedModules: false,
    verbatimModuleSyntax: false,
    paths: PATHS,
  };
}

/**
 * Compiles files of the disk and texts that are not there.
 *
 * @param {string[]} files paths
 * @param {ts.CompilerOptions} options
 * @param {Map<string, string>} [texts] by path, as if they were on the disk
 * @param {ts.Program} [former] what it has parsed is taken over
 */
export function compile(files, options, texts = new Map(), former) {
  const host = ts.createCompilerHost(options, true);
  const disk = { ...host };
  const folders = new Set([...texts.keys()].flatMap(foldersOf));
  host.fileExists = (path) => texts.has(path) || disk.fileExists(path);
  host.readFile = (path) => texts.get(path) ?? disk.readFile(path);
  host.directoryExists = (path) => folders.has(path) || (disk.directoryExists?.(path) ?? true);
  const sources = [...texts.keys()].filter((path) => path.endsWith('.ts'));
  return ts.createProgram([...files, ...sources], options, host, former);
}

/**
 * What the compiler says of one file.
 *
 * @type {(program: ts.Program, path: string) => { line: number, message: string }[]} lines count from 0
 */
export function errorsIn(program, path) {
  const file = program.getSourceFile(path);
  return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    .map(({ start = 0, messageText }) => ({
      line: file?.getLineAndCharacterOfPosition(start).line ?? 0,
      message: ts.flattenDiagnosticMessageText(messageText, ' '),
    }))
    .sort((a, b) => a.line - b.line);
}

/** @type {(path: string) => string[]} */
function foldersOf(path) {
  const folder = posix.dirname(path);
  return folder === ROOT || folder === path ? [] : [folder, ...foldersOf(folder)];
}
