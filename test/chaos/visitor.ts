import { setTimeout as sleep } from 'node:timers/promises';
import { Browser, type BrowserResponse, type RequestOptions } from '../support/browser.js';
import { CookieJar } from '../support/cookie-jar.js';
import type { Op, SocketLife } from './history.js';
import type { Random } from './random.js';
import { VisitorSocket } from './visitor-socket.js';

/** What visitors share. */
export interface World {
  /** Addresses of the application's instances. */
  readonly urls: readonly string[];
  readonly users: readonly string[];
  readonly ops: Op[];
  /** Connections that were accepted, of everybody. */
  readonly sockets: SocketLife[];
  /** Cookies of sessions that have ended, of everybody. */
  readonly ghosts: string[];
  /** Handles that somebody has or had, of everybody. */
  readonly handles: string[];
}

/** Most pauses between two steps of a visitor, in milliseconds. */
const PAUSE = { from: 20, to: 160 };
const KEYS = ['a', 'b', 'c', 'd'];
const STEPS = {
  read: 30,
  write: 28,
  burst: 14,
  revoke: 6,
  meddle: 1,
  logout: 6,
  relogin: 5,
  haunt: 10,
  connect: 12,
  say: 10,
};
/** Most connections that a visitor keeps open. */
const SOCKETS = 3;

interface Told {
  user?: string;
  id?: string;
  reason?: string;
  message?: string;
  data?: Record<string, unknown>;
  listed?: string[];
  revoked?: boolean;
}

/** What is known of a request before it is made. */
type Question =
  | { kind: 'login'; user: string }
  | { kind: 'logout' | 'read' | 'list' | 'connect' }
  | { kind: 'write'; key: string; value: string }
  | { kind: 'revoke'; target: string };

/** A browser with somebody in front of it. Each request goes to an instance that it picks at random. */
export class Visitor {
  readonly #tabs: Browser[];
  readonly #jar = new CookieJar('127.0.0.1');
  #sockets: VisitorSocket[] = [];
  #written = 0;

  constructor(
    private readonly number: number,
    private readonly world: World,
    private readonly random: Random,
  ) {
    this.#tabs = world.urls.map((url) => new Browser(url, {}, this.#jar));
  }

  async visitUntil(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#step();
      await sleep(this.random.between(PAUSE.from, PAUSE.to));
    }
  }

  /** Looks at its session, if it has one, by each instance. */
  async lookAgain(): Promise<void> {
    for (const i of this.#tabs.keys()) if (this.#cookie !== undefined) await this.#read({ app: i });
  }

  close(): void {
    for (const tab of this.#tabs) tab.close();
    for (const socket of this.#sockets) socket.close();
  }

  async #step(): Promise<void> {
    if (this.#cookie === undefined) return this.#login();
    switch (this.random.weighted(STEPS)) {
      case 'read':
        return this.#read();
      case 'write':
        return this.#write(this.random.pick(KEYS));
      case 'burst': {
        const [one, other] = this.random.shuffled(KEYS) as [string, string];
        await Promise.all([this.#read(), this.#write(one), this.#write(other), this.#read()]);
        return;
      }
      case 'revoke':
        return this.#revokeAnother();
      case 'meddle':
        return this.#revoke(this.random.pick(this.world.handles));
      case 'logout':
        return this.#logout();
      case 'relogin':
        return this.#login();
      case 'haunt':
        return this.#haunt();
      case 'connect':
        return this.#connect();
      case 'say':
        return this.#say();
    }
  }

  async #login(): Promise<void> {
    const before = this.#cookie;
    const home = this.world.users[this.number % this.world.users.length]!;
    const user = this.random.chance(0.85) ? home : this.random.pick(this.world.users);
    const op = await this.#ask('POST', '/login', { kind: 'login', user }, { json: { username: user, password: 'x' } });
    if (op.status !== 200) return;
    if (op.kind === 'login' && op.given !== undefined) this.world.handles.push(op.given);
    this.#bury(before);
  }

  async #logout(): Promise<void> {
    const before = this.#cookie;
    const { status } = await this.#ask('POST', '/logout', { kind: 'logout' });
    if (status === 204) this.#bury(before);
  }

  async #read(by?: { app: number }): Promise<void> {
    await this.#guarded('GET', '/mine', { kind: 'read' }, by);
  }

  async #write(key: string): Promise<void> {
    const value = `${this.number}.${++this.#written}`;
    await this.#guarded('PUT', `/mine/${key}`, { kind: 'write', key, value }, { json: { value } });
  }

  /** As on a page "your devices". */
  async #revokeAnother(): Promise<void> {
    const own = handleIn(this.#cookie);
    const op = await this.#guarded('GET', '/devices', { kind: 'list' });
    const others = op.kind === 'list' ? (op.listed ?? []).filter((handle) => handle !== own) : [];
    if (others.length > 0) await this.#revoke(this.random.pick(others));
  }

  async #revoke(target: string): Promise<void> {
    await this.#guarded('DELETE', `/devices/${target}`, { kind: 'revoke', target });
  }

  /** Opens a connection, and sends a message by it. */
  async #connect(): Promise<void> {
    const cookie = this.#cookie;
    const handle = handleIn(cookie);
    if (cookie === undefined || handle === undefined) return;
    const app = this.random.between(0, this.#tabs.length - 1);
    const start = performance.now();
    const socket = new VisitorSocket(this.world.urls[app]!, cookie, { visitor: this.number, app, handle });
    await socket.opened();
    const told = await socket.ask();
    const op: Op = {
      kind: 'connect',
      visitor: this.number,
      app,
      shown: handle,
      start,
      end: performance.now(),
      ...told,
    };
    this.world.ops.push(op);
    if (told.status === 401) {
      this.#bury(cookie);
      if (handleIn(this.#cookie) === handle) this.#jar.delete('sid');
    }
    if (told.status !== 200 && !socket.isOpen) return;
    this.world.sockets.push(socket.life);
    this.#sockets.push(socket);
    this.#sockets = this.#sockets.filter(({ isOpen }) => isOpen);
    if (this.#sockets.length > SOCKETS) this.#sockets.shift()?.close();
  }

  /** Sends a message by a connection that is open, perhaps of a session before this one. */
  async #say(): Promise<void> {
    const open = this.#sockets.filter(({ isOpen }) => isOpen);
    if (open.length > 0) await this.random.pick(open).ask();
  }

  /** Shows the cookie of a session that has ended. */
  async #haunt(): Promise<void> {
    const { ghosts } = this.world;
    if (ghosts.length > 0) await haunt(this.world, this.random.pick(ghosts), this.number, this.random);
  }

  /** A route that answers 401 to those who are not logged in: who is told so forgets the cookie, and logs in again. */
  async #guarded(method: string, path: string, what: Question, options: RequestOptions & { app?: number } = {}) {
    const before = this.#cookie;
    const op = await this.#ask(method, path, what, options);
    if (op.status === 401) {
      this.#bury(before);
      if (handleIn(this.#cookie) === handleIn(before)) this.#jar.delete('sid');
    }
    return op;
  }

  async #ask(
    method: string,
    path: string,
    what: Question,
    options: RequestOptions & { app?: number } = {},
  ): Promise<Op> {
    const { app = this.random.between(0, this.#tabs.length - 1) } = options;
    return ask(this.#tabs[app]!, { visitor: this.number, app, cookie: this.#cookie }, method, path, what, options).then(
      (op) => (this.world.ops.push(op), op),
    );
  }

  #bury(cookie: string | undefined): void {
    if (cookie !== undefined) this.world.ghosts.push(cookie);
  }

  get #cookie(): string | undefined {
    return this.#jar.get('sid');
  }
}

/** Shows a cookie that is in no jar any more. */
export async function haunt(world: World, cookie: string, visitor: number, random: Random): Promise<void> {
  const app = random.between(0, world.urls.length - 1);
  const browser = new Browser(world.urls[app]!);
  const headers = { cookie: `sid=${cookie}` };
  world.ops.push(await ask(browser, { visitor, app, cookie }, 'GET', '/mine', { kind: 'read' }, { headers }));
  browser.close();
}

/** The public name of the session in a cookie, `s:<handle>.<secret>.<signature>`, URL-encoded. */
export function handleIn(cookie: string | undefined): string | undefined {
  return /^s%3A([\w-]{28})\./.exec(cookie ?? '')?.[1];
}

async function ask(
  browser: Browser,
  { cookie, ...who }: { visitor: number; app: number; cookie: string | undefined },
  method: string,
  path: string,
  what: Question,
  options: RequestOptions,
): Promise<Op> {
  const shown = handleIn(cookie);
  const start = performance.now();
  const response = await browser.request(method, path, options).catch((error: unknown) => String(error));
  const asked = { ...what, ...who, shown, start, end: performance.now() };
  if (typeof response === 'string') return { ...asked, status: 0, why: response };
  const set = cookieOf(response);
  const told = toldBy(response);
  const { data, listed, revoked, user: named = told.id, reason: why = told.message } = told;
  const given = what.kind === 'login' && response.status === 200 ? handleIn(set) : undefined;
  const rotated = handleIn(set) !== undefined && handleIn(set) === shown && set !== cookie;
  return { ...asked, status: response.status, named, why, data, listed, revoked, given, rotated } as unknown as Op;
}

function toldBy(response: BrowserResponse): Told {
  try {
    return response.json<Told>();
  } catch {
    return { message: response.text };
  }
}

function cookieOf({ setCookies }: BrowserResponse): string | undefined {
  return setCookies.map((header) => /^sid=([^;]*)/.exec(header)?.[1]).find((value) => value !== undefined);
}
