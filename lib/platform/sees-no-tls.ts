import { Server as TlsServer } from 'node:tls';
import type { AbstractHttpAdapter } from '@nestjs/core';
import * as express from './express.js';
import * as fastify from './fastify.js';

/** Whether the application can never see an encrypted connection: it has no TLS and trusts no proxy. */
export function seesNoTls(adapter: AbstractHttpAdapter): boolean {
  const trustsNoProxy =
    (express.isExpress(adapter) && express.trustsNoProxy(adapter)) ||
    (fastify.isFastify(adapter) && fastify.trustsNoProxy(adapter));
  return trustsNoProxy && !(adapter.getHttpServer() instanceof TlsServer);
}
