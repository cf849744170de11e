/** Loads the library by `require` and by `import`, from a CommonJS file: both must give one module. */
const assert = require('node:assert/strict');
const { dirname, join } = require('node:path');

async function main() {
  for (const entry of ['nestjs-session-auth', 'nestjs-session-auth/health']) {
    const required = require(entry);
    const imported = await import(entry);
    assert.deepEqual(Object.keys(required), Object.keys(imported));
    for (const name of Object.keys(required)) assert.equal(required[name], imported[name], `${entry}: ${name}`);
  }

  // A resolver that knows neither of Node's conditions, such as Jest's, loads this file beside the ES module.
  const packageJson = require.resolve('nestjs-session-auth/package.json');
  const commonJs = require(join(dirname(packageJson), require(packageJson).main));
  const esModule = await import('nestjs-session-auth');
  assert.notEqual(commonJs.SessionAuthModule, esModule.SessionAuthModule);
  for (const token of ['SESSION_STORE', 'SESSION_AUTH_OPTIONS']) {
    assert.equal(typeof commonJs[token], 'symbol');
    assert.equal(commonJs[token], esModule[token], token);
  }
}

void main();
