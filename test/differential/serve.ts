import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Session } from 'express-session';
import type { SessionRequest, SessionResponse } from '../../lib/http/session-request.js';

export type Middleware = (
  request: SessionRequest,
  response: SessionResponse,
  next: (error?: unknown) => void,
) => unknown;
export type ExpressSession = Session & Record<string, unknown>;
export type Handler = (session: ExpressSession, request: SessionRequest, response: SessionResponse) => unknown;
export type Handlers = Record<string, Handler>;

const closers: (() => Promise<void>)[] = [];

/** Node's own server, one middleware, and for each path such as `/set` the handler of that name. Returns its address. */
export async function serve(middleware: Middleware, handlers: Handlers): Promise<string> {
  const server = createServer((request: SessionRequest, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://localhost');
    middleware(request, response, (error) => {
      if (error) {
        fail(response, error);
        return;
      }
      new Promise((resolve) => {
        resolve(handlers[pathname.slice(1)]?.(request.session as ExpressSession, request, response));
      }).catch((thrown: unknown) => {
        fail(response, thrown);
      });
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  closers.push(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Closes all that is open. */
export async function closeServers(): Promise<void> {
  for (const close of closers.splice(0)) {
    await close();
  }
}

/** The error response or, where a response has begun or cannot be given, a broken connection. */
function fail(response: SessionResponse, error: unknown): void {
  const status = (error as { getStatus?: () => number }).getStatus?.() ?? 500;
  try {
    if (!response.headersSent) {
      response.writeHead(status).end((error as Error).message);
      return;
    }
  } catch {
    // Nothing can be answered.
  }
  response.destroy();
}

export const read: Handler = (session: ExpressSession | undefined, _request, response) => {
  response.end(
    session === undefined ? 'no session' : JSON.stringify(Object.assign({}, session, { cookie: undefined })),
  );
};

export const set: Handler = (session, _request, response) => {
  session['a'] = 1;
  response.end('set');
};

/** A session's method that takes a callback, as a promise. */
export function call(session: Session, method: 'save' | 'reload' | 'destroy' | 'regenerate'): Promise<void> {
  return new Promise((resolve, reject) => {
    session[method]((error: unknown) => {
      if (error) {
        reject(error instanceof Error ? error : new Error('a session method failed', { cause: error }));
      } else {
        resolve();
      }
    });
  });
}
