import type { AbstractHttpAdapter } from '@nestjs/core';
import { SESSION_PROPERTIES } from '../http/request-properties.js';
import { prepareExchanges } from './prepared-exchanges.js';
import type { PassportRequestMethods } from '../login/passport-request.js';

/** The parts of an Express application that are used here. */
interface ExpressApplication {
  /** The prototype of the application's requests. */
  readonly request: object;
  get(setting: string): unknown;
}

/** Whether Nest runs on Express. */
export function isExpress(adapter: AbstractHttpAdapter): boolean {
  return adapter.getType() === 'express';
}

/**
 * Prepares an Express application for the session middleware. Its requests share a prototype, which gets Passport's
 * methods, so that they need not be set on each request. What must be a request's own is set before Express gives it
 * that prototype: see {@link prepareExchanges}.
 */
export function prepareExpress(adapter: AbstractHttpAdapter, methods: PassportRequestMethods): void {
  const { request } = adapter.getInstance<ExpressApplication>();
  Object.defineProperties(Object.assign(request, methods), SESSION_PROPERTIES);
  prepareExchanges(adapter);
}

/** Whether the application trusts no proxy. */
export function trustsNoProxy(adapter: AbstractHttpAdapter): boolean {
  return adapter.getInstance<ExpressApplication>().get('trust proxy') === false;
}
