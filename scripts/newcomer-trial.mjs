/**
 * Does what docs/quickstart.md says, as a newcomer would: in an empty folder, with the CLI of Nest 11 and of Nest 12, it
 * runs the page's commands, pastes its files, and compares what `curl` prints with the page. While the application runs, the
 * rest is typed in a second terminal, which knows nothing of the first one's variables. The package is packed from this
 * checkout; everything else comes from npm. Prints how long each step takes.
 *
 *     npm run test:newcomer        # or `-- 11` for Nest 11 alone
 */
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { start } from './child.mjs';
import { freePort } from './free-port.mjs';
import { blocksFor, placeOf, STARTERS } from './examples/pasted.mjs';
import { pack, run, temporaryDirectory } from './pack.mjs';
import { redisServerBinary } from './redis-server-binary.mjs';

const PAGE = 'docs/quickstart.md';

const { tarball } = pack();
const versions = STARTERS.map(({ nest }) => nest).filter((nest) => [undefined, String(nest)].includes(process.argv[2]));
/** @type {string[]} */
const differences = [];
for (const nest of versions) await tryOut(nest);
assert.deepEqual(differences, [], `${PAGE} shows other outputs than these`);

/** @param {number} nest */
async function tryOut(nest) {
  const begin = performance.now();
  const port = String(await freePort());
  /** The first terminal's. @type {NodeJS.ProcessEnv} */
  const env = { PORT: port, NODE_ENV: undefined, REDIS_URL: undefined };
  let cwd = temporaryDirectory();
  /** @type {Partial<Record<'redis' | 'application', ReturnType<typeof start>>>} */
  const running = {};

  /** @type {(command: string) => string} */
  const shell = (command) => {
    const variables = running.application ? {} : env;
    return run('bash', ['-c', command.replaceAll('localhost:3000', `localhost:${port}`)], cwd, variables);
  };

  /** One line that the page has the reader type. Returns what it prints. @type {(line: string) => Promise<string>} */
  const type = async (line) => {
    const [, folder] = /^cd (.+)/.exec(line) ?? [];
    const [, name = '', value] = /^export (\w+)=(.+)/.exec(line) ?? [];
    if (folder) cwd = join(cwd, folder);
    else if (value) env[name] ??= shell(`printf %s ${value}`);
    else if (line.startsWith('docker run')) env.REDIS_URL = await startRedis();
    else if (line === 'npm run start') await startApplication();
    else if (line.startsWith('npx')) shell(line.replace('npx', 'npx --yes'));
    else if (line.startsWith('npm install')) shell(line.replace('nestjs-session-auth', tarball));
    else return shell(line.replace(/^curl/, 'curl --silent --show-error'));
    return '';
  };

  const startApplication = async () => {
    await running.application?.stop();
    running.application = start('npm', ['run', 'start'], { cwd, env: { ...process.env, ...env } });
    await running.application.until((output) => output.includes('successfully started'));
  };

  const startRedis = async () => {
    const binary = redisServerBinary();
    if (!binary) throw new Error('There is no redis-server.');
    const redisPort = String(await freePort());
    running.redis = start(binary, ['--port', redisPort, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
      cwd: temporaryDirectory(),
    });
    await running.redis.until((output) => output.includes('Ready to accept connections'));
    return `redis://127.0.0.1:${redisPort}`;
  };

  try {
    let printed = '';
    for (const { kind, text } of stepsOf(nest)) {
      const stepBegin = performance.now();
      if (kind === 'output') {
        if (printed !== text) differences.push(printed);
        continue;
      }
      if (kind === 'file') paste(cwd, text);
      else for (const line of linesOf(text)) printed = await type(line);
      const title = kind === 'file' ? `paste ${text.split('\n', 1)[0] ?? ''}` : text.replaceAll('\n', '; ');
      report(nest, title, stepBegin);
    }
    await running.application?.stop();
    delete running.application;
    for (const command of ['npm test', 'npm run test:e2e']) {
      const stepBegin = performance.now();
      shell(command);
      report(nest, `${command} (the starter's own tests still pass)`, stepBegin);
    }
  } catch (error) {
    throw new Error(`Nest ${nest}\n${running.application?.output() ?? ''}`, { cause: error });
  } finally {
    for (const one of Object.values(running)) await one.stop();
  }
  report(nest, 'all', begin);
}

/**
 * The page's blocks in their order. A file's text begins with its path.
 *
 * @param {number} nest
 * @returns {{ kind: 'commands' | 'output' | 'file', text: string }[]}
 */
function stepsOf(nest) {
  const files = blocksFor(PAGE, nest);
  const page = readFileSync(join(import.meta.dirname, '..', PAGE), 'utf8');
  return [...page.matchAll(/^```(sh|text|ts)(?:.*\[Nest (\d+)\])?.*\n([^]*?)\n```$/gm)].flatMap(
    ([, language, only, text = '']) => {
      if (only !== undefined && only !== String(nest)) return [];
      if (language === 'sh') return { kind: 'commands', text };
      if (language === 'text') return { kind: 'output', text };
      const file = files.find(({ code }) => code === text);
      return file ? { kind: 'file', text: `${placeOf(file).path}\n${text}\n` } : [];
    },
  );
}

/** @param {string} commands */
function linesOf(commands) {
  const lines = commands.split('\n');
  assert.ok(
    [-1, lines.length - 1].includes(lines.indexOf('npm run start')),
    `What is below it is not run: ${commands}`,
  );
  return lines;
}

/** @type {(cwd: string, text: string) => void} */
function paste(cwd, text) {
  const [path = '', ...lines] = text.split('\n');
  mkdirSync(dirname(join(cwd, path)), { recursive: true });
  writeFileSync(join(cwd, path), lines.join('\n'));
}

/** @type {(nest: number, step: string, begin: number) => void} */
function report(nest, step, begin) {
  console.log(`Nest ${nest}: ${((performance.now() - begin) / 1000).toFixed(1).padStart(5)} s  ${step}`);
}
