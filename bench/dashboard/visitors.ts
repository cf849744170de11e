import { setTimeout as pause } from 'node:timers/promises';
import { sign } from 'cookie-signature';
import { PASSWORD, userOf } from '../app/users.js';
import { SECRET } from '../app/variant.js';

/** Users there are. Several visitors may be one. */
const USERS = 300;

/** A browser with one cookie. */
class Visitor {
  #cookie = '';
  readonly number = Math.floor(Math.random() * USERS);

  constructor(private readonly url: string) {}

  async send(method: string, path: string, { password, ...headers }: Record<string, string> = {}): Promise<Response> {
    const credentials = password !== undefined && { username: userOf(this.number).username, password };
    const response = await fetch(this.url + path, {
      method,
      headers: { cookie: this.#cookie, ...headers, ...(credentials && { 'content-type': 'application/json' }) },
      ...(credentials && { body: JSON.stringify(credentials) }),
    });
    this.#cookie = response.headers.getSetCookie().at(-1)?.split(';', 1)[0] ?? this.#cookie;
    return response;
  }

  async do(method: string, path: string, headers?: Record<string, string>): Promise<void> {
    await (await this.send(method, path, headers)).arrayBuffer();
  }

  /** Another one with the same cookie as now. */
  copy(): Visitor {
    const copy = new Visitor(this.url);
    copy.#cookie = this.#cookie;
    return copy;
  }

  /** Somebody who shows a former secret of this session. */
  thief(): Visitor {
    const thief = new Visitor(this.url);
    const [handle = ''] = decodeURIComponent(this.#cookie).replace('sid=s:', '').split('.', 1);
    thief.#cookie = `sid=${encodeURIComponent(`s:${sign(`${handle}.${'x'.repeat(43)}`, SECRET)}`)}`;
    return thief;
  }
}

function chance(probability: number): boolean {
  return Math.random() < probability;
}

async function logIn(visitor: Visitor): Promise<void> {
  while (chance(0.2)) {
    await visitor.do('POST', '/login', { password: 'wrong' });
  }
  if (chance(0.25)) {
    await visitor.do('POST', `/login/link/${visitor.number}`);
  } else if (chance(0.4)) {
    await visitor.do('POST', '/login/first', { password: PASSWORD });
    await (chance(0.8) && visitor.do('POST', '/login/totp'));
  } else {
    await visitor.do('POST', '/login', { password: PASSWORD });
  }
}

async function useSite(visitor: Visitor): Promise<void> {
  for (let step = 0; step < 12; step++) {
    await pause(50 + Math.random() * 400);
    await visitor.do('GET', '/me');
    if (chance(0.02)) await Promise.all([1, 2, 3].map(() => visitor.copy().do('PUT', '/counter')));
    if (chance(0.1)) await visitor.do('GET', '/fresh');
    if (chance(0.06)) await visitor.do('POST', '/proof', { password: PASSWORD });
    if (chance(0.01)) await visitor.do('POST', '/logout', { 'sec-fetch-site': 'cross-site' });
  }
}

/** Visits until the time is over: logs in, uses the site, reads the news, leaves in one way or another. */
async function visits(url: string, until: number): Promise<void> {
  while (Date.now() < until) {
    const visitor = new Visitor(url);
    try {
      if (chance(0.2)) await visitor.do('GET', '/me');
      await logIn(visitor);
      const news = chance(0.6) ? await visitor.send('GET', '/news') : undefined;
      await useSite(visitor);
      await (chance(0.02) && visitor.thief().do('GET', '/me'));
      if (chance(0.5)) await visitor.do('POST', '/logout');
      else if (chance(0.2)) await visitor.do('POST', `/end/admin/${visitor.number}`);
      else if (chance(0.1)) await visitor.do('POST', `/end/credentials/${visitor.number}`);
      await visitor.do('GET', '/me');
      await news?.body?.cancel();
    } catch {
      await pause(100); // A connection that the server has closed.
    }
  }
}

/** So many visitors at a time, for so many seconds. */
export async function visit(url: string, visitors: number, seconds: number): Promise<void> {
  const until = Date.now() + seconds * 1000;
  await Promise.all(
    Array.from({ length: visitors }, async (_, n) => {
      await pause(n * 150);
      await visits(url, until);
    }),
  );
}
