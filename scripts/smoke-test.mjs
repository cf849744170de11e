/** Runs `npm start` as a newcomer does, logs in as ada, and stops it. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { start } from './child.mjs';
import { freePort } from './free-port.mjs';

const port = String(await freePort());
const url = `http://localhost:${port}`;
const sample = start('npm', ['start'], { cwd: join(import.meta.dirname, '..'), env: { ...process.env, PORT: port } });
const page = await sample.until(() => fetch(`${url}/login`).catch(() => undefined));
try {
  assert.equal(page.status, 200, 'GET /login');

  const login = await fetch(`${url}/login`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ username: 'ada', password: 'lovelace' }),
  });
  assert.equal(login.status, 200, 'POST /login');
  const cookie = login.headers.getSetCookie().map((header) => header.split(';')[0]);
  assert.equal(cookie.length, 1, 'POST /login sets one cookie');

  const me = await fetch(`${url}/me`, { headers: { cookie: cookie.join() } });
  assert.equal(me.status, 200, 'GET /me');
  assert.match(await me.text(), /"username":"ada"/, 'GET /me');
  assert.equal((await fetch(`${url}/me`)).status, 401, 'GET /me without the cookie');
  console.log(`npm start serves ${url}, and ada can log in`);
} catch (error) {
  throw new Error(`npm start:\n${sample.output()}`, { cause: error });
} finally {
  await sample.stop();
}
