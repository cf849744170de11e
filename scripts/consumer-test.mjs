/**
 * Logs in against the packed library in applications that know nothing of this repository: the starters of Nest's CLI,
 * as the CLI makes them, get the tarball by npm and a login from `test/consumer`, and run their own commands.
 */
import assert from 'node:assert/strict';
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, start } from './child.mjs';
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
    step(app, 'npm install --no-audit --no-fund --prefer-offline --no-package-lock', tarball, ...packages(nest));
    addLogin(app, importsEndIn);
    step(app, 'npm test');
    step(app, 'npm run test:e2e');
    step(app, 'npm run build');
    await logInAndOut(app, `Nest ${nest}, in-process store`, {});
    if (redis) await logInAndOut(app, `Nest ${nest}, Redis`, { REDIS_URL: redis.url });

    if (extraStep) step(app, extraStep);
    step(app, 'node one-module.cjs');
    step(app, 'node one-module.mjs');
  }
} finally {
  await redis?.stop();
}

/**
 * What the README has one install beside the library, and what else the login of `test/consumer` needs.
 *
 * @param {number} nest
 */
function packages(nest) {
  const ofNest = ['passport', 'terminus', 'websockets'].map((name) => `@nestjs/${name}@${nest}`);
  const others = 'passport passport-local @types/passport-local express-session connect-redis@9 redis';
  return [...ofNest, ...others.split(' ')];
}

/**
 * Adds the sources of `test/consumer` to a starter, and their module to its own.
 *
 * @param {string} app
 * @param {string} importsEndIn what relative imports of the starter end in
 */
function addLogin(app, importsEndIn) {
  cpSync(LOGIN, app, { recursive: true });
  for (const file of [...sourcesIn(app, 'src/auth'), 'test/login.e2e-spec.ts']) {
    edit(join(app, file), (source) => source.replace(/(?<= from '\.[^']+)(?=')/g, importsEndIn));
  }
  edit(join(app, 'src/app.module.ts'), (source) => {
    const module = `import { AuthModule } from './auth/auth.module${importsEndIn}';\n`;
    assert(source.includes('imports: []'), 'the application module of the starter imports nothing');
    return module + source.replace('imports: []', 'imports: [AuthModule]');
  });
}

/** @type {(app: string, directory: string) => string[]} */
function sourcesIn(app, directory) {
  return readdirSync(join(app, directory)).map((name) => join(directory, name));
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
 */
async function logInAndOut(directory, title, env) {
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
      headers: { 'content-type': 'application/json', ...(cookie && { cookie }) },
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
