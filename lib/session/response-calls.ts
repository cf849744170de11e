import type { SessionResponse } from './session.types.js';

/** The ways a handler answers. */
export type Method = 'writeHead' | 'flushHeaders' | 'write' | 'end';

/** One call of a handler's on its response. */
export interface Call {
  readonly method: Method;
  readonly args: unknown[];
}

/** A response's methods, taken off it. */
export type ResponseMethods = Record<Method, (this: SessionResponse, ...args: unknown[]) => unknown>;
