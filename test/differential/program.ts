import { Readable } from 'node:stream';
import type { Request, Response } from 'express';
import type { Session, SessionData } from 'express-session';
import { call } from './serve.js';

export type Data = Record<string, unknown>;

/** What a handler does with its session, one thing after another. */
export type Operation =
  | { do: 'read' }
  | { do: 'set'; key: string; value: unknown }
  | { do: 'nest'; key: string; value: unknown }
  | { do: 'delete'; key: string }
  | { do: 'save' }
  | { do: 'reload' }
  | { do: 'regenerate' }
  | { do: 'destroy' }
  | { do: 'touch' }
  | { do: 'resetMaxAge' }
  | { do: 'maxAge'; to: number | null }
  | { do: 'cookie'; attributes: Data }
  | { do: 'unset'; by: 'null' | 'delete' }
  | { do: 'throw' };

/** How it answers, with `late` done between the first byte and the last where there is such a time. */
export type Reply =
  | { by: 'json' | 'send' | 'end' | 'sendStatus' | 'redirect' | 'noContent' | 'notFound' }
  | { by: 'etag' }
  | { by: 'endLength' | 'endTwice' | 'sendTwice' }
  | { by: 'writeHeadObject' | 'writeHeadArray' | 'writeHeadPairs' | 'writeHeadCookie' }
  | { by: 'write' | 'flush' | 'writeHeadFirst'; late: Operation[] }
  | { by: 'writeThenThrow' }
  | { by: 'pipe' };

export interface Program {
  operations: Operation[];
  /** A cookie of the handler's own. */
  ownCookie?: 'cookie' | 'header' | 'headers' | 'append';
  reply: Reply;
}

/** What a handler saw of its session. */
export interface Glimpse {
  after: Operation['do'] | 'start' | 'end';
  data: Data | null;
  /** `req.session.cookie`, without its expiry. */
  cookie: unknown;
  /** Milliseconds until it expires, where the operation just before has settled that. */
  left?: number | null;
  error?: string;
}

/** What a handler's run leaves behind for the test. */
export interface Run {
  seen: Glimpse[];
  errors: string[];
  /** `req.sessionID` when the response began. */
  id: string | undefined;
  /** Whether there was a session when the response began. */
  present: boolean;
  /** `req.session.cookie.originalMaxAge` when the response began. */
  maxAge: number | null | undefined;
  /** Whether a save, or the response, met another `cookie.originalMaxAge` than the session came or began with. */
  wished: boolean;
}

type SeenCookie = Data & { expires?: string | null };
type AnySession = (Session & Partial<SessionData> & Data) | null | undefined;

export function newRun(): Run {
  return { seen: [], errors: [], id: undefined, present: false, maxAge: undefined, wished: false };
}

/** Runs programs as a request handler would be written, and notes what it saw. */
export class Interpreter {
  #given: number | null | undefined;
  #begun = false;

  constructor(
    private readonly request: Request,
    private readonly response: Response,
    private readonly run: Run,
  ) {}

  async perform({ operations, ownCookie, reply }: Program): Promise<void> {
    this.#given = this.#session?.cookie.originalMaxAge;
    this.#look('start', true);
    for (const operation of operations) {
      await this.#do(operation);
    }
    this.#setOwnCookie(ownCookie);
    this.#look('end');
    this.#begin();
    await this.#reply(reply);
  }

  get #session(): AnySession {
    return this.request.session as AnySession;
  }

  async #do(operation: Operation): Promise<void> {
    const session = this.#session;
    if (operation.do === 'throw') {
      this.#begin();
      throw new Error('thrown by the handler');
    }
    if (!session) {
      this.run.seen.push({ after: operation.do, data: null, cookie: null, error: 'no session' });
      return;
    }
    const error = await this.#apply(operation, session).catch((reason: unknown) => String(reason));
    const settles = ['touch', 'resetMaxAge', 'maxAge'].includes(operation.do);
    this.#look(operation.do, settles, error);
  }

  async #apply(operation: Operation, session: NonNullable<AnySession>): Promise<string | undefined> {
    switch (operation.do) {
      case 'set':
        session[operation.key] = operation.value;
        break;
      case 'nest': {
        const inner = session[operation.key];
        if (typeof inner === 'object' && inner !== null) {
          (inner as Data)['inner'] = operation.value;
        } else {
          session[operation.key] = { inner: operation.value };
        }
        break;
      }
      case 'delete':
        delete session[operation.key];
        break;
      case 'save':
        this.#wish();
        await call(session, 'save');
        break;
      case 'reload':
        await call(session, 'reload');
        this.#given = this.#session?.cookie.originalMaxAge;
        break;
      case 'regenerate':
        await call(session, 'regenerate');
        this.#given = this.#session?.cookie.originalMaxAge;
        this.run.wished &&= this.#begun;
        break;
      case 'destroy':
        await call(session, 'destroy');
        break;
      case 'touch':
        session.touch();
        break;
      case 'resetMaxAge':
        session.resetMaxAge();
        break;
      case 'maxAge':
        session.cookie.maxAge = operation.to as number;
        break;
      case 'cookie':
        Object.assign(session.cookie, operation.attributes);
        break;
      case 'unset':
        this.#unset(operation.by);
        break;
      default:
        break;
    }
    return undefined;
  }

  #unset(by: 'null' | 'delete'): void {
    const request = this.request as { session?: unknown };
    if (by === 'null') {
      request.session = null;
    } else {
      delete request.session;
    }
  }

  /** Notes how things stand when the response begins. */
  #begin(): void {
    this.#wish();
    this.run.id = this.request.sessionID;
    this.run.present = Boolean(this.#session);
    this.run.maxAge = this.#session?.cookie.originalMaxAge;
    this.#begun = true;
  }

  #wish(): void {
    const session = this.#session;
    if (session && session.cookie.originalMaxAge !== this.#given) {
      this.run.wished ||= !this.#begun;
      this.#given = session.cookie.originalMaxAge;
    }
  }

  #look(after: Glimpse['after'], settled = false, error?: string): void {
    const session = this.#session;
    const { expires = null, ...cookie } = session ? (JSON.parse(JSON.stringify(session.cookie)) as SeenCookie) : {};
    this.run.seen.push({
      after,
      data: dataOf(session),
      cookie,
      ...(settled && session && { left: expires === null ? null : Date.parse(expires) - Date.now() }),
      ...(error !== undefined && { error }),
    });
  }

  #setOwnCookie(how: Program['ownCookie']): void {
    const { response } = this;
    if (how === 'cookie') response.cookie('theme', 'dark');
    if (how === 'header') response.setHeader('Set-Cookie', 'theme=dark; Path=/');
    if (how === 'headers') response.setHeader('Set-Cookie', ['theme=dark; Path=/', 'language=en; Path=/']);
    if (how === 'append') response.append('Set-Cookie', 'theme=dark; Path=/');
  }

  async #reply(reply: Reply): Promise<void> {
    const { response } = this;
    const body = { session: dataOf(this.#session) };
    const text = JSON.stringify(body);
    switch (reply.by) {
      case 'json':
        response.json(body);
        break;
      case 'send':
        response.send(`<p>${text}</p>`);
        break;
      case 'end':
        response.end(text);
        break;
      case 'sendStatus':
        response.sendStatus(202);
        break;
      case 'redirect':
        response.redirect(303, '/elsewhere');
        break;
      case 'noContent':
        response.status(204).end();
        break;
      case 'notFound':
        response.status(404).type('text').send('not here');
        break;
      case 'etag':
        response.send('always the same, and so a 304 to whom knows it');
        break;
      case 'endLength':
        response.setHeader('Content-Length', Buffer.byteLength(text));
        response.end(Buffer.from(text));
        break;
      case 'endTwice':
        response.end(text);
        response.end();
        break;
      case 'sendTwice':
        response.send(text);
        response.send('again');
        break;
      case 'writeHeadObject':
        response.writeHead(201, { 'X-Mark': 'object', 'Content-Type': 'text/plain' }).end(text);
        break;
      case 'writeHeadArray':
        response.writeHead(201, 'Made', ['X-Mark', 'array', 'Content-Type', 'text/plain']);
        response.end(text);
        break;
      case 'writeHeadPairs':
        response.writeHead(201, [
          ['X-Mark', 'pairs'],
          ['Content-Type', 'text/plain'],
        ] as never);
        response.end(text);
        break;
      case 'writeHeadCookie':
        response.writeHead(200, { 'Set-Cookie': ['theme=light; Path=/'] });
        response.end(text);
        break;
      case 'write':
        await new Promise((done) => response.write('first,', done));
        await this.#late(reply.late);
        response.end('last');
        break;
      case 'flush':
        response.flushHeaders();
        await new Promise((done) => response.write('first,', done));
        await this.#late(reply.late);
        response.end('last');
        break;
      case 'writeHeadFirst':
        response.writeHead(200, { 'Content-Type': 'text/plain' });
        await this.#late(reply.late);
        response.end('last');
        break;
      case 'writeThenThrow':
        response.write('first,');
        throw new Error('thrown after the first byte');
      case 'pipe':
        Readable.from([text, ',', 'x'.repeat(100_000), ',last']).pipe(response);
        break;
    }
  }

  async #late(operations: Operation[]): Promise<void> {
    for (const operation of operations) {
      await this.#do(operation);
    }
  }
}

export function dataOf(session: AnySession): Data | null {
  if (!session) {
    return null;
  }
  const { cookie: _cookie, ...data } = session;
  return JSON.parse(JSON.stringify(data)) as Data;
}
