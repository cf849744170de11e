import { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { keepPrepared, prepareResponse } from '../http/commit-gate.js';
import { defineOwn, prepareRequest, SESSION_PROPERTIES } from '../http/request-properties.js';
import type { SessionRequest, SessionResponse } from '../http/session-request.js';
import type { PassportRequestMethods } from '../login/passport-request.js';
import { SessionAuthConfigurationError } from '../session-auth.errors.js';
import type { SessionMiddleware } from '../session/session.middleware.js';
import {
  type Instance,
  internal,
  internalKey,
  REPLY,
  type Replied,
  type Reply,
  replyTo,
  type Request,
} from './fastify-instance.js';
import { prepareExchanges } from './prepared-exchanges.js';

/** The properties of Node's request that Fastify's has too. */
const PROPERTIES = ['session', 'sessionID', 'sessionStore', 'user'];

/** What middie gives Node's requests, and so what Express's have: where middie has no middleware, too. */
const REPLY_PROPERTIES: PropertyDescriptorMap = {
  originalUrl: replyProperty('originalUrl', ({ url }) => url),
  ip: replyProperty('ip', (request) => request[REPLY]?.request.ip),
  protocol: replyProperty('protocol', (request) => request[REPLY]?.request.protocol),
  query: replyProperty('query', (request) => request[REPLY]?.request.query),
};

/** Whether the application trusts no proxy. A number trusts nobody since Fastify 5.12.1 (CVE-2026-16732). */
export function trustsNoProxy(adapter: AbstractHttpAdapter): boolean {
  const options = internal<{ trustProxy?: unknown }>(adapter.getInstance<Instance>(), 'fastify.options');
  return options !== undefined && (!options.trustProxy || typeof options.trustProxy === 'number');
}

/** Whether Nest runs on Fastify. */
export function isFastify(adapter: AbstractHttpAdapter): boolean {
  return adapter.getType() === 'fastify';
}

/**
 * Mounts the session middleware, which works on Node's request and response, as a hook behind middie's. Where middie has
 * other middleware, it is mounted there, too. See {@link mountBeforeOthers}.
 */
export function mountOnFastify(
  adapter: AbstractHttpAdapter,
  middleware: SessionMiddleware['use'],
  methods: PassportRequestMethods,
): void {
  const instance = adapter.getInstance<Instance>();
  decorateRequests(instance, methods);
  if (!extendExchanges(adapter.getHttpServer() as object, methods)) {
    prepareExchanges(adapter);
  }
  keepWhereHijacked(instance, methods);
  mountBeforeOthers(instance, middleware);
  instance.addHook('onRegister', (child) => {
    mountBeforeOthers(child, middleware);
  });
  instance.addHook('onRequest', (request, reply, next) => {
    const { raw } = request;
    (raw as Replied)[REPLY] = reply;
    if (raw.originalUrl === undefined) {
      Object.defineProperties(raw, REPLY_PROPERTIES);
    }
    middleware(raw, reply.raw, next);
  });
  // An error in other middleware leads past the hook above.
  instance.addHook('onError', ({ raw }, reply, _error, next) => {
    (raw as Replied)[REPLY] = reply;
    next();
  });
}

/**
 * Mounts the session middleware in front of the next other one that is mounted. Middie without any passes a request on,
 * which costs nothing; with the first one it prepares every request.
 */
function mountBeforeOthers(instance: Instance, middleware: SessionMiddleware['use']): void {
  const { use } = instance;
  if (use !== undefined) {
    instance.use = function (...others) {
      instance.use = use;
      use.call(this, middleware);
      return use.apply(this, others);
    };
  }
}

/**
 * Makes a request's and a response's own what they have by their prototypes, where middie runs the session middleware. An
 * Express application that is mounted behind it gives them prototypes of its own.
 */
export function keepOnFastify(
  request: SessionRequest,
  response: SessionResponse,
  methods: PassportRequestMethods,
): void {
  if (replyTo(request) === undefined) {
    keepExchange(request, response, methods);
  }
}

/** The same where a handler takes its response over, maybe for an Express application. */
function keepWhereHijacked(instance: Instance, methods: PassportRequestMethods): void {
  const prototype = internal<{ prototype: Reply }>(instance, 'fastify.Reply')?.prototype;
  if (prototype !== undefined) {
    const { hijack } = prototype;
    prototype.hijack = function () {
      keepExchange(this.request.raw, this.raw, methods);
      return hijack.call(this);
    };
  }
}

function keepExchange(request: SessionRequest, response: SessionResponse, methods: PassportRequestMethods): void {
  Object.assign(request, methods);
  // Another express-session may have set its own.
  if (!Object.hasOwn(request, 'sessionID')) {
    Object.defineProperties(request, SESSION_PROPERTIES);
  }
  keepPrepared(response);
}

/**
 * Gives Fastify's requests the properties and methods that Node's have. Somebody else's of the same name would leave
 * the application in two minds about who is logged in.
 */
function decorateRequests(instance: Instance, methods: PassportRequestMethods): void {
  const decorators = new Map<string, unknown>([...PROPERTIES.map(accessor), ...Object.entries(methods)]);
  for (const [name, value] of decorators) {
    if (contextsOf(instance).some((context) => context.hasRequestDecorator(name))) {
      throw decoratorTaken(name);
    }
    instance.decorateRequest(name, value);
  }
  const { decorateRequest } = instance;
  instance.decorateRequest = function (name, ...rest) {
    if (decorators.has(name)) {
      throw decoratorTaken(name);
    }
    return decorateRequest.call(this, name, ...rest);
  };
}

/**
 * Gives the server's requests and responses prototypes with what would else be set on each of them. They are those of the
 * classes which are options of Node's `createServer()`. Fastify has called that already, and so the classes are replaced
 * where Node keeps them. Returns false where it keeps none: a server of HTTP/2.
 */
function extendExchanges(server: object, methods: PassportRequestMethods): boolean {
  const requestKey = internalKey(server, 'IncomingMessage');
  const responseKey = internalKey(server, 'ServerResponse');
  if (requestKey === undefined || responseKey === undefined) {
    return false;
  }
  const classes = server as Record<symbol, unknown>;
  class SessionIncomingMessage extends ((classes[requestKey] as typeof IncomingMessage | undefined) ??
    IncomingMessage) {
    constructor(socket: Socket) {
      super(socket);
      prepareRequest(this);
    }
  }
  class SessionServerResponse extends ((classes[responseKey] as typeof ServerResponse | undefined) ?? ServerResponse) {}
  const properties = { ...SESSION_PROPERTIES, ...REPLY_PROPERTIES };
  Object.defineProperties(Object.assign(SessionIncomingMessage.prototype, methods), properties);
  prepareResponse(SessionServerResponse.prototype);
  classes[requestKey] = SessionIncomingMessage;
  classes[responseKey] = SessionServerResponse;
  return true;
}

/** The instance and those of the plugins that have been loaded so far. */
function contextsOf(instance: Instance): Instance[] {
  const children = internal<Instance[]>(instance, 'fastify.children') ?? [];
  return [instance, ...children.flatMap(contextsOf)];
}

/** A property that is read from Fastify's reply, until it is set. */
function replyProperty(name: string, read: (request: Replied) => unknown): PropertyDescriptor {
  return {
    configurable: true,
    enumerable: true,
    get(this: Replied): unknown {
      return read(this);
    },
    set(this: Replied, value: unknown) {
      defineOwn(this, name, value);
    },
  };
}

function accessor(name: string): [string, object] {
  return [
    name,
    {
      getter(this: Request): unknown {
        return (this.raw as unknown as Record<string, unknown>)[name];
      },
      setter(this: Request, value: unknown): void {
        Object.assign(this.raw, { [name]: value });
      },
    },
  ];
}

function decoratorTaken(name: string): SessionAuthConfigurationError {
  return new SessionAuthConfigurationError(
    'decorator_taken',
    `Another plugin decorates Fastify's requests with "${name}", which is this module's. Remove the plugin ` +
      '(@fastify/session, @fastify/passport, @fastify/jwt), or give its decorator another name.',
  );
}
