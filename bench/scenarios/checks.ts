import { type VariantName, VARIANTS } from '../app/variant.js';
import { PASSWORD, userOf } from '../app/users.js';
import type { AppProcess } from '../stage/app-process.js';
import type { Stage } from '../stage/stage.js';

/** Headers that two answers of one page may differ in. */
const MAY_DIFFER = new Set(['date', 'connection', 'keep-alive']);
/** What a login adds to them: the cookie, and that nobody else may get it from a cache. */
const OF_A_LOGIN = new Set([...MAY_DIFFER, 'set-cookie', 'cache-control']);
const AUTHENTICATES: readonly VariantName[] = ['hand-wired', 'ours'];

/**
 * That the four applications do the same, before anything is measured: the same answers, byte for byte, to whoever is
 * logged in, and none to anybody else.
 *
 * @throws Error that says what differs
 */
export async function checkApplications(stage: Stage): Promise<void> {
  const answers = new Map<VariantName, string>();
  for (const variant of VARIANTS) {
    const { app } = await stage.actor(variant);
    answers.set(variant, await answersOf(app));
    if (AUTHENTICATES.includes(variant)) await checkAuthentication(app);
  }
  const [expected] = answers.values();
  for (const [variant, text] of answers) {
    if (text !== expected) throw new Error(`"${variant}" answers\n${text}\nand "bare"\n${expected ?? ''}`);
  }
}

async function answersOf(app: AppProcess): Promise<string> {
  const login = await logIn(app, 0);
  const cookie = cookieOf(login);
  return [
    await described(login, OF_A_LOGIN),
    await described(await ask(app, 'GET', '/me', cookie)),
    await described(await ask(app, 'GET', '/open')),
    // The answer to a logout may take the cookie back.
    await described(await ask(app, 'POST', '/logout', cookie), OF_A_LOGIN),
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
  if (status !== expected) throw new Error(`"${app.variant}" answers ${status} where ${expected} is right`);
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
