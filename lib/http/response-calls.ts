import type { SessionResponse } from './session-request.js';

/** The methods by which a handler sends a response. */
export type Method = 'writeHead' | 'flushHeaders' | 'write' | 'end';

/** One call of such a method. */
export interface Call {
  readonly method: Method;
  readonly args: unknown[];
}

/** The methods of a response as they were before the gate replaced them. */
export type ResponseMethods = Record<Method, (this: SessionResponse, ...args: unknown[]) => unknown>;
