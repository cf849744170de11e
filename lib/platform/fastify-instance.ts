import type { SessionRequest, SessionResponse } from '../http/session-request.js';

/* Fastify is an optional peer, so what is used of it is described here. */

export type Next = (error?: unknown) => void;

export interface Request {
  readonly raw: SessionRequest;
  readonly query: unknown;
  readonly ip: string;
  readonly protocol: string;
}

export interface Reply {
  readonly raw: SessionResponse;
  readonly request: Request;
  /** The application has taken the response over, or it has ended. */
  readonly sent: boolean;
  readonly server: Instance;
  getHeaders(): object;
  removeHeader(name: string): void;
  serializer(serialize: null): void;
  send(payload: unknown): void;
  hijack: (this: Reply) => Reply;
}

export interface Instance {
  use?: (this: Instance, ...middleware: unknown[]) => Instance;
  addHook(name: 'onRequest', hook: (request: Request, reply: Reply, next: Next) => void): void;
  addHook(name: 'onRegister', hook: (instance: Instance) => void): void;
  addHook(name: 'onError', hook: (request: Request, reply: Reply, error: unknown, next: Next) => void): void;
  hasRequestDecorator(name: string): boolean;
  decorateRequest: (this: Instance, name: string, value: unknown, ...rest: unknown[]) => Instance;
  errorHandler(error: unknown, request: Request | SessionRequest, reply: Reply | SessionResponse): unknown;
}

/** Where Node's request leads to Fastify's reply. */
export const REPLY = Symbol.for('nestjs-session-auth:reply');
export type Replied = SessionRequest & { [REPLY]?: Reply };

/** Fastify's reply to a request of Node's, once Fastify has come to it. */
export function replyTo(request: Replied): Reply | undefined {
  return request[REPLY];
}

/** What Fastify has no public way to. */
export function internal<T>(instance: Instance, name: string): T | undefined {
  const key = internalKey(instance, name);
  return key && (instance as unknown as Record<symbol, T>)[key];
}

export function internalKey(owner: object, name: string): symbol | undefined {
  return Object.getOwnPropertySymbols(owner).find(({ description }) => description === name);
}
