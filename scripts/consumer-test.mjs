/**
 * Logs in against the packed library in applications that know nothing of this repository: each application of
 * `test/consumer` is copied out, gets the tarball by npm, is compiled, started and driven over HTTP.
 */
import assert from 'node:assert/strict';
import { cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort, start } from './child.mjs';
import { pack, run, temporaryDirectory } from './pack.mjs';
import { redisServerBinary } from './redis-server-binary.mjs';

const APPLICATIONS = [
  { name: 'nest12-esm', loadsLibraryBy: "from 'nestjs-session-auth'" },
  { name: 'nest11-cjs', loadsLibraryBy: 'require("nestjs-session-auth")' },
];
const INSTALL = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--no-package-lock', '--loglevel=error'];

const { tarball } = pack();
const redis = await startRedis();
try {
  for (const { name, loadsLibraryBy } of APPLICATIONS) {
    const directory = join(temporaryDirectory(), name);
    cpSync(join(import.meta.dirname, '../test/consumer', name), directory, { recursive: true });
    timed(`${name}: npm install`, () => run('npm', [...INSTALL, tarball], directory));
    timed(`${name}: tsc`, () => run('npx', ['--no-install', 'tsc'], directory));
    const compiled = readFileSync(join(directory, 'dist/main.js'), 'utf8');
    assert(compiled.includes(loadsLibraryBy), `dist/main.js of ${name} should say ${loadsLibraryBy}`);

    await logInAndOut(directory, `${name}, in-process store`, {});
    if (redis) await logInAndOut(directory, `${name}, Redis`, { REDIS_URL: redis.url });
  }
} finally {
  await redis?.stop();
}

/**
 * @param {string} directory
 * @param {string} title
 * @param {NodeJS.ProcessEnv} env
 */
async function logInAndOut(directory, title, env) {
  const application = await startApplication(directory, env);
  /** @type {string | undefined} */
  let cookie;

  /** @type {(method: string, path: string, body?: object) => Promise<[number, unknown]>} */
  const call = async (method, path, body) => {
    const response = await fetch(application.url + path, {
      method,
      headers: { 'content-type': 'application/json', ...(cookie && { cookie }) },
      ...(body && { body: JSON.stringify(body) }),
    });
    cookie = response.headers.getSetCookie()[0]?.split(';')[0] ?? cookie;
    return [response.status, response.ok ? JSON.parse((await response.text()) || 'null') : undefined];
  };

  try {
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

/**
 * @param {string} directory
 * @param {NodeJS.ProcessEnv} env
 */
async function startApplication(directory, env) {
  const secret = 'a secret of a consumer test, 32 bytes long';
  const application = start(process.execPath, ['dist/main.js'], {
    cwd: directory,
    env: { ...process.env, NODE_ENV: 'development', REDIS_URL: undefined, SESSION_SECRET: secret, ...env },
  });
  const url = await application.until((output) => /listening on (\S+)/.exec(output)?.[1]);
  return { ...application, url };
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

/** @type {(step: string, work: () => unknown) => void} */
function timed(step, work) {
  const start = performance.now();
  work();
  console.log(`${step}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
}
