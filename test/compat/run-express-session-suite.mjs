/**
 * Runs express-session's own tests against the request loop, by the shim beside this file, and compares what fails with
 * docs/differences.md: a failure that is not written down there, and a pass that is written down as a failure, are both
 * errors.
 *
 * The tests run twice. express-session stores and hands out empty sessions unless told not to (`saveUninitialized`), and
 * most of its tests lean on that; the second time the application stores a value in each of those sessions.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { run } from '../../scripts/pack.mjs';
import { agrees, checkoutFrom, numbered, titlesBelow, workshop } from './workshop.mjs';

/** What the tests themselves need; the rest of their package's development dependencies lint it. */
const TEST_DEPENDENCIES = ['after', 'cookie-parser', 'express', 'mocha', 'supertest'];

const checkout = checkoutFrom('EXPRESS_SESSION_DIR', 'expressjs/session', 'v1.19.0');
const { suite, shims, modules } = workshop(checkout);
replaceSources();
installDependencies();
run('sh', ['test/support/gencert.sh'], suite);

const differing = titlesBelow('### Tests that differ');
const storing = titlesBelow('### Tests that pass where the application stores something');
const onlyStoring = titlesBelow('### Tests that differ only where the application stores something');
const ok = [
  agrees('express-session as it stands', ...suiteRun({}, [...differing, ...storing])),
  agrees(
    'express-session, where the application stores something',
    ...suiteRun({ COMPAT_STORING: '1' }, [...differing, ...onlyStoring]),
  ),
];
process.exit(ok.every(Boolean) ? 0 : 1);

/** The package under test becomes ours; its own classes, which we build on, come from our dependencies. */
function replaceSources() {
  const shim = JSON.stringify(join(shims, 'express-session-shim.js'));
  writeFileSync(join(suite, 'index.js'), `module.exports = require(${shim}).default\n`);
  for (const name of ['cookie', 'memory', 'session', 'store']) {
    const original = JSON.stringify(join(modules, 'express-session/session', name));
    writeFileSync(join(suite, 'session', `${name}.js`), `module.exports = require(${original})\n`);
  }
}

function installDependencies() {
  const manifest = join(suite, 'package.json');
  const { devDependencies } = JSON.parse(readFileSync(manifest, 'utf8'));
  const wanted = Object.fromEntries(TEST_DEPENDENCIES.map((name) => [name, devDependencies[name]]));
  writeFileSync(manifest, JSON.stringify({ private: true, dependencies: wanted }));
  run('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', '--prefer-offline', '--loglevel=error'], suite);
}

/**
 * @param {NodeJS.ProcessEnv} env
 * @param {string[]} expected
 * @returns {[{ passed: string[], failed: string[] }, string[], (title: string) => string | undefined]}
 */
function suiteRun(env, expected) {
  const report = join(suite, 'report.json');
  rmSync(report, { force: true });
  const args = ['--require', 'test/support/env', '--check-leaks', '--exit', '--reporter', 'json'];
  const mocha = join(suite, 'node_modules/mocha/bin/mocha.js');
  const { stderr } = spawnSync(process.execPath, [mocha, ...args, '--reporter-option', `output=${report}`, 'test/'], {
    cwd: suite,
    env: { ...process.env, ...env },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  let tests;
  try {
    ({ tests } = JSON.parse(readFileSync(report, 'utf8')));
  } catch (error) {
    throw new Error(`mocha left no report\n${stderr}`, { cause: error });
  }
  const titles = numbered(tests.map(({ fullTitle }) => fullTitle));
  const messages = new Map(titles.map((title, index) => [title, tests[index].err?.message]));
  const failed = titles.filter((title) => messages.get(title) !== undefined);
  const passed = titles.filter((title) => messages.get(title) === undefined);
  return [{ passed, failed }, expected, (title) => messages.get(title)];
}
