import type { ExecutionContext, HttpException } from '@nestjs/common';
import type { SessionRequest } from '../http/session-request.js';
import { SessionUnavailableException } from '../session-auth.errors.js';
import type { RequestSession } from '../session/request-session.js';
import { findRequest } from './carrier.js';

/**
 * Refuses an execution in the form that its transport understands: a `WsException` or an `RpcException` with the body
 * that an HTTP response would have, else the exception itself. Both classes are of optional peers, which are installed
 * wherever there is such a context, and are not loaded elsewhere.
 */
export async function refuse(reason: HttpException, context: ExecutionContext): Promise<never> {
  switch (context.getType()) {
    case 'ws':
      throw await wsException(reason);
    case 'rpc': {
      const { RpcException } = await import('@nestjs/microservices');
      throw new RpcException(reason.getResponse());
    }
    default:
      throw reason;
  }
}

/** The exception as a `WsException`. Its body is an object, so that Nest does not send the message back with it. */
export async function wsException(reason: HttpException): Promise<Error> {
  const { WsException } = await import('@nestjs/websockets');
  const body = reason.getResponse();
  const { code } = body as { code?: unknown };
  return Object.assign(new WsException(body), { code });
}

/** The exception itself, for GraphQL, which reports it as it does over HTTP. */
export function unchanged(reason: HttpException): Promise<Error> {
  return Promise.resolve(reason);
}

/** The HTTP request behind a context. A context without one is refused, code `session_unavailable`. */
export async function requestOrRefuse(context: ExecutionContext): Promise<SessionRequest> {
  return findRequest(context) ?? refuse(new SessionUnavailableException(), context);
}

/** Whether a `handleDenied()` lets the request through. In JavaScript it may return anything, and only `true` does. */
export function letsThrough(result: unknown): boolean {
  return result === true;
}

/** Whether a `handleDenied()` lets the request through after all. Otherwise the refusal is reported. */
export async function reportedUnless(
  handleDenied: () => unknown,
  reason: HttpException,
  session: RequestSession,
): Promise<boolean> {
  let isAdmitted = false;
  try {
    isAdmitted = letsThrough(await handleDenied());
  } finally {
    if (!isAdmitted) {
      session.reportRefusal(reason);
    }
  }
  return isAdmitted;
}
