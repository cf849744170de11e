import { nodeRequest, type SessionRequest, type SessionResponse } from '../http/session-request.js';
import type { LoginGuardOptions } from './login-guard-options.js';

/* Passport's strategies expect Node's request and response, as Express has them. On Fastify they get what follows. */

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

/** Node's request, with what Fastify has parsed: `body`, `query` and `params`. */
export function strategyRequest(request: SessionRequest): SessionRequest {
  const raw = nodeRequest(request);
  if (raw !== request) {
    const { body, query, params } = request as unknown as Record<string, unknown>;
    Object.assign(raw, { body, query, params });
  }
  return raw;
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

  setHeader(name: string, value: unknown): this {
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
    this.reply.send(body);
    return this;
  }

  redirect(...args: [url: string] | [status: number, url: string]): void {
    const [status, url] = args.length === 1 ? [302, args[0]] : args;
    this.reply.redirect(url, status);
  }
}
