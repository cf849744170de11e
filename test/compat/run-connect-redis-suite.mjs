/**
 * Runs connect-redis's own tests against `RedisSessionStore` on a redis-server of its own, and compares what fails with
 * docs/differences.md, assertion by assertion: its whole scenario is one test, of which otherwise the first difference
 * would hide the rest.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { transformSync } from '@swc/core';
import { start } from '../../scripts/child.mjs';
import { freePort } from '../../scripts/free-port.mjs';
import { redisServerBinary } from '../../scripts/redis-server-binary.mjs';
import { agrees, checkoutFrom, numbered, titlesBelow, workshop } from './workshop.mjs';

const checkout = checkoutFrom('CONNECT_REDIS_DIR', 'tj/connect-redis', 'v9.0.0');
const { suite, shims, modules } = workshop(checkout);
const binary = redisServerBinary();
if (!binary) throw new Error('No redis-server found: run node scripts/ensure-redis-server.mjs');

const port = await freePort();
const redis = start(binary, ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no'], {
  cwd: suite,
});
await redis.until((output) => /Ready to accept connections/i.test(output));

const { expect } = createRequire(join(modules, 'jest/package.json'))('expect');
/** @type {{ title: string, error?: Error }[]} */
const outcomes = [];
/** @type {{ name: string, body: () => unknown }[]} */
const tests = [];

/** What the tests import from their runner and from beside them, given by way of a global. */
globalThis.connectRedisTests = {
  test: (/** @type {string} */ name, /** @type {() => unknown} */ body) => tests.push({ name, body }),
  /** An `expect` that notes how it went and lets the test go on. */
  expectAt: (/** @type {string} */ title) => (/** @type {unknown} */ actual) =>
    new Proxy(expect(actual), {
      get:
        (matchers, name) =>
        /** @param {unknown[]} args */
        (...args) => {
          try {
            matchers[name](...args);
            outcomes.push({ title });
          } catch (error) {
            outcomes.push({ title, error });
          }
        },
    }),
  redis: { port: `${port}`, connect: () => undefined, disconnect: () => undefined },
};

await import(pathToFileURL(transformed()).href);
for (const { name, body } of tests) {
  try {
    await body();
  } catch (error) {
    outcomes.push({ title: `${name} does not come to its end`, error });
  }
}
await redis.stop();

const titles = numbered(outcomes.map(({ title }) => title));
const failed = titles.filter((_, index) => outcomes[index]?.error !== undefined);
const passed = titles.filter((_, index) => outcomes[index]?.error === undefined);
const explain = (/** @type {string} */ title) => outcomes[titles.indexOf(title)]?.error?.message.replace(/\s+/g, ' ');
const ok = agrees('connect-redis', { passed, failed }, titlesBelow('### Assertions that differ'), explain);
process.exit(ok ? 0 : 1);

/** The test file as JavaScript, with what it imports in place, and each `expect` knowing the line it stands on. */
function transformed() {
  const source = readFileSync(join(suite, 'index_test.ts'), 'utf8')
    .replace(/^import .* from "vitest"$/m, 'const { test, expectAt } = globalThis.connectRedisTests')
    .replace(/^import .* from "\.\/testdata\/server"$/m, 'const redisSrv = globalThis.connectRedisTests.redis')
    .replace(/"\.\/"$/m, JSON.stringify(pathToFileURL(join(shims, 'connect-redis-shim.js')).href))
    .replace(/"redis"$/m, JSON.stringify(pathToFileURL(join(shims, 'connect-redis-shim.js')).href))
    .replace(
      /import \{Cookie\} from "express-session"$/m,
      `import session from "express-session"\nconst {Cookie} = session`,
    )
    .replace(/"express-session"$/m, JSON.stringify(pathToFileURL(join(modules, 'express-session/index.js')).href))
    .replace(/^\s*expect\(.*$/gm, (line) => {
      const title = line.replace(/\s*\/\/.*$/, '').trim();
      return line.replace('expect(', `expectAt(${JSON.stringify(title)})(`);
    });
  const { code } = transformSync(source, { jsc: { parser: { syntax: 'typescript' }, target: 'es2022' } });
  const file = join(suite, 'index_test.mjs');
  writeFileSync(file, code);
  return file;
}
