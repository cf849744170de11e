import { validateHeaderValue } from 'node:http';
import { CookieClass } from '../http/express-session.js';
import { nodeRequest, type SessionRequest, type SessionResponse } from '../http/session-request.js';
import type { LoginGuardOptions } from './login-guard-options.js';

/* Passport's strategies expect Node's request and response, as Express has them. On Fastify they get what follows. */

/** What is used of Fastify's request. */
interface Request {
  readonly body: unknown;
  readonly query: unknown;
  readonly params: unknown;
  readonly host: string;
  /** By `@fastify/cookie`. */
  readonly cookies?: unknown;
  /** There where a proxy is trusted. */
  readonly ips?: readonly string[];
}

/** What is used of Fastify's reply. */
interface Reply {
  readonly raw: SessionResponse;
  statusCode: number;
  header(name: string, value: unknown): void;
  getHeader(name: string): unknown;
  removeHeader(name: string): void;
  redirect(url: string, status?: number): void;
  send(payload?: unknown): void;
}

/** Node's request, with what Fastify has parsed and what Express's requests lead to: the response and the settings. */
export function strategyRequest(request: SessionRequest, response: SessionResponse): SessionRequest {
  const raw = nodeRequest(request);
  if (raw !== request) {
    const { body, query, params, host, cookies, ips } = request as unknown as Request;
    // By this, OAuth strategies know whether the proxy's scheme and host are those of a relative callback URL.
    const app = { get: (setting: string) => setting === 'trust proxy' && ips !== undefined };
    Object.assign(raw, { body, query, params, host, app, res: response }, cookies !== undefined && { cookies });
  }
  return raw;
}

/** The request with this user, if any, for a strategy that asks who is to prove something. All else is the request's own. */
export function withUser(request: SessionRequest, user: unknown): SessionRequest {
  return user === undefined
    ? request
    : new Proxy(request, {
        get: (target, property): unknown =>
          property === 'user' ? (target.user ?? user) : Reflect.get(target, property),
      });
}

/** Copies to Fastify's request what Passport has set on Node's, besides the user. */
export function copyResults(from: SessionRequest, to: SessionRequest, { assignProperty }: LoginGuardOptions): void {
  const results = from as unknown as Record<string, unknown>;
  for (const name of from === to ? [] : ['authInfo', assignProperty ?? 'user']) {
    if (name in results) {
      Object.assign(to, { [name]: results[name] });
    }
  }
}

/** The response itself or, for Fastify's reply, a response that goes through it. */
export function strategyResponse(response: SessionResponse): SessionResponse {
  const isReply = 'raw' in response && 'send' in response;
  return isReply ? (new ReplyResponse(response as unknown as Reply) as unknown as SessionResponse) : response;
}

/** Node's and Express's methods that Passport and its strategies call, by way of Fastify's reply. */
class ReplyResponse {
  constructor(private readonly reply: Reply) {}

  get statusCode(): number {
    return this.reply.statusCode;
  }

  set statusCode(status: number) {
    this.reply.statusCode = status;
  }

  get headersSent(): boolean {
    return this.reply.raw.headersSent;
  }

  /** Throws, as Node's does, for what cannot be sent: the reply would make an empty `Location` of no URL. */
  setHeader(name: string, value: unknown): this {
    validateHeaderValue(name, value as string);
    this.reply.header(name, value);
    return this;
  }

  getHeader(name: string): unknown {
    return this.reply.getHeader(name);
  }

  removeHeader(name: string): void {
    this.reply.removeHeader(name);
  }

  end(body?: unknown): this {
    return this.send(body);
  }

  /** Express's. The POST binding of SAML sends its form by it. */
  send(body?: unknown): this {
    this.reply.send(body);
    return this;
  }

  /** Express's, as are its options. Remember-me strategies renew their cookie by it. */
  cookie(name: string, value: string, options: { maxAge?: number; expires?: Date } = {}): this {
    const cookie = new CookieClass({ httpOnly: false, ...options }).serialize(name, value);
    const { maxAge } = options;
    const age = maxAge === undefined ? '' : `; Max-Age=${Math.floor(maxAge / 1_000)}`;
    this.reply.header('Set-Cookie', cookie + age);
    return this;
  }

  clearCookie(name: string, options: object = {}): this {
    return this.cookie(name, '', { ...options, expires: new Date(0) });
  }

  redirect(...args: [url: string] | [status: number, url: string]): void {
    const [status, url] = args.length === 1 ? [302, args[0]] : args;
    this.reply.redirect(url, status);
  }
}
