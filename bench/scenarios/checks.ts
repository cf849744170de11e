import type { VariantName } from '../app/variant.js';
import { PASSWORD, userOf } from '../app/users.js';
import type { AppProcess } from '../stage/app-process.js';
import type { Actor } from '../stage/stage.js';

/** Headers in which two responses of one page may differ. */
const MAY_DIFFER = new Set(['date', 'connection', 'keep-alive']);
/** A response to somebody may forbid caches to store it, and set or delete the cookie. */
const MAY_DIFFER_FOR_USERS = new Set([...MAY_DIFFER, 'cache-control', 'set-cookie']);
const AUTHENTICATES: readonly VariantName[] = ['hand-wired', 'ours', 'before', 'better-auth'];

/**
 * Checks before anything is measured that the applications do the same: the same responses, byte for byte, to a user who
 * is logged in, and none to anybody else.
 *
 * @throws Error with the responses that differ
 */
export async function checkApplications(actors: readonly Actor[]): Promise<void> {
  const responses = new Map<VariantName, string>();
  for (const { app } of actors) {
    responses.set(app.variant, await responsesOf(app));
    if (AUTHENTICATES.includes(app.variant)) await checkAuthentication(app);
  }
  const [[first, expected] = ['', '']] = responses;
  for (const [variant, text] of responses) {
    if (text !== expected) throw new Error(`"${variant}" responds\n${text}\nand "${first}"\n${expected}`);
  }
}

async function responsesOf(app: AppProcess): Promise<string> {
  const login = await logIn(app, 0);
  const cookie = cookieOf(login);
  return [
    await described(login, MAY_DIFFER_FOR_USERS),
    await described(await ask(app, 'GET', '/me', cookie), MAY_DIFFER_FOR_USERS),
    await described(await ask(app, 'GET', '/open')),
    await described(await ask(app, 'POST', '/logout', cookie), MAY_DIFFER_FOR_USERS),
  ].join('\n');
}

async function checkAuthentication(app: AppProcess): Promise<void> {
  const [cookie, other] = [cookieOf(await logIn(app, 1)), cookieOf(await logIn(app, 2))];
  const forged = cookie.slice(0, -1) + (cookie.endsWith('A') ? 'B' : 'A');
  await expectStatus(app, 401);
  await expectStatus(app, 401, forged);
  await expectStatus(app, 200, cookie);
  const seen = await (await ask(app, 'GET', '/me', other)).text();
  if (seen !== JSON.stringify(userOf(2))) throw new Error(`"${app.variant}" takes user 2 for ${seen}`);
  await ask(app, 'POST', '/logout', cookie);
  await expectStatus(app, 401, cookie);
  await expectStatus(app, 200, other);
}

async function expectStatus(app: AppProcess, expected: number, cookie?: string): Promise<void> {
  const { status } = await ask(app, 'GET', '/me', cookie);
  if (status !== expected) throw new Error(`"${app.variant}" responds with ${status} in the place of ${expected}`);
}

async function described(response: Response, mayDiffer = MAY_DIFFER): Promise<string> {
  const headers = [...response.headers].filter(([name]) => !mayDiffer.has(name));
  return JSON.stringify([response.status, headers.sort(), await response.text()]);
}

async function logIn(app: AppProcess, user: number): Promise<Response> {
  const body = JSON.stringify({ username: userOf(user).username, password: PASSWORD });
  return fetch(`${app.url}/login`, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
}

function ask(app: AppProcess, method: string, path: string, cookie?: string): Promise<Response> {
  return fetch(app.url + path, { method, headers: { ...(cookie !== undefined && { cookie }) } });
}

/** An application without authentication sets none. */
function cookieOf(response: Response): string {
  return response.headers.getSetCookie()[0]?.split(';')[0] ?? 'none=';
}
