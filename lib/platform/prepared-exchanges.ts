import type { Server } from 'node:http';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { prepareResponse } from '../http/commit-gate.js';
import { prepareRequest } from '../http/request-properties.js';

/**
 * Prepares each request and response before the platform sees them, and any middleware: what wraps responses
 * (compression) then wraps the gate, wherever it is mounted. See {@link prepareResponse}.
 */
export function prepareExchanges(adapter: AbstractHttpAdapter): void {
  (adapter.getHttpServer() as Server).prependListener('request', (incoming, response) => {
    prepareRequest(incoming);
    prepareResponse(response);
  });
}
