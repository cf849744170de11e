import { type Server } from 'node:http';
import { Server as TlsServer } from 'node:tls';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { prepareResponse } from '../http/commit-gate.js';
import { prepareRequest, SESSION_PROPERTIES } from '../http/request-properties.js';
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
 * that prototype: see {@link prepareResponse}.
 */
export function prepareExpress(adapter: AbstractHttpAdapter, methods: PassportRequestMethods): void {
  const { request } = adapter.getInstance<ExpressApplication>();
  Object.defineProperties(Object.assign(request, methods), SESSION_PROPERTIES);
  (adapter.getHttpServer() as Server).prependListener('request', (incoming, response) => {
    prepareRequest(incoming);
    prepareResponse(response);
  });
}

/** Whether the application can never see an encrypted connection: it has no TLS and trusts no proxy. */
export function seesNoTls(adapter: AbstractHttpAdapter): boolean {
  const express = adapter.getInstance<ExpressApplication>();
  return !(adapter.getHttpServer() instanceof TlsServer) && express.get('trust proxy') === false;
}
