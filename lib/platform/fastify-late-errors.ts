import { ServerResponse } from 'node:http';
import { HttpException, Logger } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { describesContent } from '../http/discarded-response.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import { type Instance, type Next, type Reply, replyTo, type Request } from './fastify-instance.js';

/**
 * Has the application respond to an error after `next` was called: a commit that failed. By then middie may serve another
 * request with that same function. So the error goes to Fastify's reply. There is none yet where other middleware has
 * responded: then `next` still is this request's, but Nest drops its second call where `main.ts` mounted the session.
 */
export function failLateOnFastify(
  adapter: AbstractHttpAdapter,
  error: unknown,
  request: SessionRequest,
  response: SessionResponse,
  next: Next,
): void {
  const reply = replyTo(request);
  if (reply !== undefined) {
    sendError(reply, error);
    return;
  }
  next(error);
  if (replyTo(request) === undefined && !response.headersSent) {
    if ('status' in response) {
      Object.setPrototypeOf(response, ServerResponse.prototype); // Nest would take an Express application's for a reply.
    }
    handleRaw(adapter.getInstance<Instance>(), error, request, response);
  }
}

/** Has Nest's exception filters respond, in place of a response that was discarded. */
function sendError(reply: Reply, error: unknown): void {
  try {
    if (reply.sent) {
      sendErrorPast(reply, error);
      return;
    }
    for (const name of Object.keys(reply.getHeaders()).filter(describesContent)) {
      reply.removeHeader(name);
    }
    reply.serializer(null);
    reply.send(error);
  } catch {
    sendErrorPast(reply, error); // One of the reply's headers cannot be sent.
  }
}

/** The same for a reply that cannot be used: the application has taken its response over (`hijack()`). */
function sendErrorPast({ raw, request, server }: Reply, error: unknown): void {
  handleRaw(server, error, request, raw);
}

/**
 * Has the error handler respond on Node's response. Nest's can, and an application's own (`setErrorHandler()`) may know
 * none but Fastify's reply: where it fails, nobody else would respond, and its error would end the process.
 */
function handleRaw(
  server: Instance,
  error: unknown,
  request: Request | SessionRequest,
  response: SessionResponse,
): void {
  const respond = (failure: unknown): void => {
    new Logger('SessionAuthModule').error('The error handler failed on a response without a reply.', failure);
    if (!response.headersSent) {
      response.statusCode = error instanceof HttpException ? error.getStatus() : 500;
      response.setHeader('Content-Type', 'application/json; charset=utf-8');
      const body =
        error instanceof HttpException ? error.getResponse() : { statusCode: 500, message: 'Internal server error' };
      response.end(JSON.stringify(body));
    }
  };
  try {
    Promise.resolve(server.errorHandler(error, request, response)).catch(respond);
  } catch (failure) {
    respond(failure);
  }
}
