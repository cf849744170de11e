/**
 * Logs in against the packed library in applications that know nothing of this repository: the starters of Nest's CLI,
 * as the CLI makes them, get the tarball by npm and a login from `test/consumer`, and run their own commands. Then they move
 * to Fastify, with what differs there from `test/consumer-fastify`.
 */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { start } from './child.mjs';
import { freePort } from './free-port.mjs';
import { pack, run, temporaryDirectory } from './pack.mjs';
import { redisServerBinary } from './redis-server-binary.mjs';

const STARTERS = [
  {
    nest: 11, // CommonJS, ts-jest
    importsEndIn: '',
    // Compiles as applications do whose module resolution knows no `exports`, and reads all declarations to their end.
    extraStep:
      'npx --no-install tsc -p tsconfig.build.json --noEmit --incremental false --skipLibCheck false ' +
      '--module commonjs --moduleResolution node10 --resolvePackageJsonExports false',
  },
  {
    nest: 12, // ES modules, vitest
    importsEndIn: '.js',
  },
];
const LOGIN = join(import.meta.dirname, '../test/consumer');
const LOGIN_ON_FASTIFY = join(import.meta.dirname, '../test/consumer-fastify');
const INSTALL = 'npm install --no-audit --no-fund --prefer-offline --no-package-lock';

const { tarball } = pack();
const redis = await startRedis();
try {
  for (const { nest, importsEndIn, extraStep } of STARTERS) {
    const directory = temporaryDirectory();
    const app = join(directory, 'app');

    /** @type {(cwd: string, commandLine: string, ...more: string[]) => void} */
    const step = (cwd, commandLine, ...more) => {
      const begin = performance.now();
      const [command = '', ...args] = commandLine.split(' ');
      run(command, [...args, ...more], cwd, { REDIS_URL: redis?.url });
      console.log(`Nest ${nest}: ${commandLine}: ${((performance.now() - begin) / 1000).toFixed(1)} s`);
    };

    step(directory, `npx --yes @nestjs/cli@${nest} new app --package-manager npm --skip-git --skip-install`);
    step(app, INSTALL, tarball, ...packages(nest));
    addSources(LOGIN, app, importsEndIn);
    addModule(app, importsEndIn);
    step(app, 'npm test');
    step(app, 'npm run test:e2e');
    step(app, 'npm run build');
    await logInAndOut(app, `Nest ${nest}, in-process store`, {});
    if (redis) await logInAndOut(app, `Nest ${nest}, Redis`, { REDIS_URL: redis.url });

    if (extraStep) step(app, extraStep);
    step(app, 'node one-module.cjs');
    step(app, 'node one-module.mjs');

    step(app, INSTALL, `@nestjs/platform-fastify@${nest}`, '@fastify/static@10');
    addSources(LOGIN_ON_FASTIFY, app, importsEndIn);
    step(app, 'npm run test:e2e login');
    step(app, 'npm run build');
    await logInAndOut(app, `Nest ${nest} on Fastify`, { REDIS_URL: redis?.url }, '/files/package.json');
    if (extraStep) step(app, extraStep);
  }
} finally {
  await redis?.stop();
}

/**
 * What the README has one install beside the library, and what else the login and the gateways of `test/consumer` need.
 *
 * @param {number} nest
 */
function packages(nest) {
  const ofNest = ['passport', 'terminus', 'websockets', 'platform-ws', 'platform-socket.io'].map(
    (name) => `@nestjs/${name}@${nest}`,
  );
  const others =
    'passport passport-local @types/passport-local express-session connect-redis@9 redis socket.io-client @types/ws';
  return [...ofNest, ...others.split(' ')];
}

/**
 * Adds files of this repository to a starter, in place of its own of that name.
 *
 * @param {string} from
 * @param {string} app
 * @param {string} importsEndIn what relative imports of the starter end in
 */
function addSources(from, app, importsEndIn) {
  cpSync(from, app, { recursive: true });
  const sources = readdirSync(from, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  for (const file of sources) {
    edit(join(app, file), (source) => source.replace(/(?<= from '\.[^']+)(?=')/g, importsEndIn));
  }
}

/**
 * Imports the module of `test/consumer` into a starter's own.
 *
 * @param {string} app
 * @param {string} importsEndIn
 */
function addModule(app, importsEndIn) {
  edit(join(app, 'src/app.module.ts'), (source) => {
    const module = `import { AuthModule } from './auth/auth.module${importsEndIn}';\n`;
    assert(source.includes('imports: []'), 'the application module of the starter imports nothing');
    return module + source.replace('imports: []', 'imports: [AuthModule]');
  });
}

/** @type {(file: string, change: (source: string) => string) => void} */
function edit(file, change) {
  writeFileSync(file, change(readFileSync(file, 'utf8')));
}

/**
 * Starts the application that the starter's own build made.
 *
 * @param {string} directory
 * @param {string} title
 * @param {NodeJS.ProcessEnv} env
 * @param {string} [file] the path of a file that is sent to whoever asks
 */
async function logInAndOut(directory, title, env, file) {
  const port = String(await freePort());
  const url = `http://localhost:${port}`;
  const application = start('npm', ['run', 'start:prod'], {
    cwd: directory,
    env: { ...process.env, NODE_ENV: 'development', REDIS_URL: undefined, PORT: port, ...env },
  });
  /** @type {string | undefined} */
  let cookie;

  /** @type {(method: string, path: string, body?: object) => Promise<[number, unknown]>} */
  const call = async (method, path, body) => {
    const response = await fetch(url + path, {
      method,
      headers: { ...(body && { 'content-type': 'application/json' }), ...(cookie && { cookie }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
    return [response.status, response.ok ? JSON.parse((await response.text()) || 'null') : undefined];
  };

  try {
    await application.until((output) =>
      output.includes('successfully started') ? fetch(url).catch(() => undefined) : undefined,
    );
    const ada = { id: 1, name: 'Ada' };
    assert.deepEqual(await call('GET', '/me'), [401, undefined]);
    assert.deepEqual(await call('POST', '/login', { username: 'ada', password: 'wrong' }), [401, undefined]);
    assert.equal(cookie, undefined);
    assert.deepEqual(await call('POST', '/login', { username: 'ada', password: 'lovelace' }), [200, ada]);
    assert.deepEqual(await call('GET', '/me'), [200, ada]);
    const loggedIn = cookie;
    assert.deepEqual(await call('POST', '/logout'), [204, null]);
    assert.deepEqual(await call('GET', '/me'), [401, undefined]);
    cookie = loggedIn;
    assert.deepEqual(await call('GET', '/me'), [401, undefined]);
    if (file) assert.equal((await call('GET', file))[0], 200);
    console.log(`${title}: logged in and out`);
  } catch (error) {
    throw new Error(`${title}\n${application.output()}`, { cause: error });
  } finally {
    await application.stop();
  }
}

async function startRedis() {
  const binary = redisServerBinary();
  if (!binary) {
    console.log('No redis-server found: testing with the in-process store alone');
    return undefined;
  }
  const port = String(await freePort());
  const server = start(binary, ['--port', port, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
    cwd: temporaryDirectory(),
  });
  await server.until((output) => output.includes('Ready to accept connections'));
  return { ...server, url: `redis://127.0.0.1:${port}` };
}
