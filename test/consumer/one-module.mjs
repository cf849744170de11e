/** Loads the library by `import` and by `require`, from an ES module: both must give one module. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import * as health from 'nestjs-session-auth/health';
import * as library from 'nestjs-session-auth';

const require = createRequire(import.meta.url);
for (const [entry, imported] of Object.entries({
  'nestjs-session-auth': library,
  'nestjs-session-auth/health': health,
})) {
  const required = require(entry);
  assert.deepEqual(Object.keys(required), Object.keys(imported));
  for (const name of Object.keys(required)) assert.equal(required[name], imported[name], `${entry}: ${name}`);
}
