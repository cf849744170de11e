import type { ServerResponse } from 'node:http';
import type { INestApplication } from '@nestjs/common';
import type { AbstractHttpAdapter } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { realProcess } from './process-watch.js';
import type { FastifyInstance, FastifyPluginCallback, FastifyReply, FastifyRequest } from 'fastify';

/** For CommonJS that requires an ES module, which Node can do, and Jest cannot. */
export function requireByNode<T>(name: string): T {
  const { createRequire } = realProcess.getBuiltinModule('node:module');
  return createRequire(import.meta.url)(name) as T;
}

/** What Nest runs on. */
export type Platform = 'express' | 'fastify';
const PLATFORMS: Platform[] = ['express', 'fastify'];

/** Express, for what has not said by `describePlatforms()` that it runs on both. */
let current: Platform = 'express';

/** The platform of the tests that run now. */
export function platformUnderTest(): Platform {
  return current;
}

/** The same tests on Express and on Fastify. */
export function describePlatforms(tests: (platform: Platform) => void): void {
  const outside = current;
  describe.each(PLATFORMS)('on %s', (platform) => {
    beforeAll(() => {
      current = platform;
    });
    afterAll(() => {
      current = outside;
    });
    tests(platform);
  });
}

/** The same, where both stores are tried: on Fastify, Redis stands for both. */
export function storesOn(platform: Platform): ('memory' | 'redis')[] {
  return platform === 'express' ? ['memory', 'redis'] : ['redis'];
}

/**
 * Where sessions are in the tests of this platform. What a store does has nothing to do with Fastify: there, one server
 * stands for all.
 */
export function placesOn<T extends string = 'memory' | 'redis' | 'cluster'>(
  platform: Platform,
  places: readonly T[] = ['memory', 'redis', 'cluster'] as T[],
): T[] {
  return places.filter((place) => platform === 'express' || (place !== 'cluster' && place !== 'memory'));
}

export interface AdapterOptions {
  /** The proxy is trusted, whichever it is. */
  trustProxy?: boolean;
}

export function createAdapter(platform: Platform, { trustProxy = false }: AdapterOptions = {}): AbstractHttpAdapter {
  if (platform === 'express') {
    const adapter = new ExpressAdapter();
    adapter.set('trust proxy', trustProxy);
    return adapter;
  }
  const adapter = new FastifyAdapter({ trustProxy, routerOptions: { ignoreTrailingSlash: true } });
  for (const [name, method] of Object.entries(EXPRESS_METHODS)) {
    adapter.getInstance().decorateReply(name, method);
  }
  adapter.getInstance().addHook('onSend', answerNotModified);
  void adapter
    .getInstance()
    .register(requireByNode<FastifyPluginCallback<{ root: string; serve: boolean }>>('@fastify/static'), {
      root: process.cwd(),
      serve: false,
    });
  return adapter;
}

/** Express finds out by itself whether a page has changed; to Fastify it takes a plugin, which this stands for. */
async function answerNotModified(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<unknown> {
  const isUnchanged = request.headers['if-none-match'] === '*' && reply.statusCode === 200;
  return Promise.resolve(isUnchanged ? void reply.code(304) : payload);
}

/** Express's methods, for Fastify's reply: handlers of tests are written once. */
const EXPRESS_METHODS: Record<string, (this: FastifyReply, ...args: never[]) => FastifyReply> = {
  json(this: FastifyReply, body: unknown): FastifyReply {
    return this.send(body);
  },
  set(this: FastifyReply, headers: string | object, value?: string): FastifyReply {
    return typeof headers === 'string' ? this.header(headers, value) : this.headers(headers);
  },
  setHeader(this: FastifyReply, name: string, value: unknown): FastifyReply {
    return this.header(name, value);
  },
};

/** Node's own response, for a handler that responds by itself: Express's, or what is left of Fastify's reply then. */
export function takeOver(response: ServerResponse): ServerResponse {
  const reply = response as unknown as Partial<FastifyReply>;
  return reply.raw === undefined ? response : reply.hijack!().raw;
}

/** Sends a file by Express, or by @fastify/static. */
export function sendLicense(response: object): void {
  const root = process.cwd();
  const { sendFile } = response as { sendFile(name: string, root: string | { root: string }): void };
  sendFile.call(response, 'LICENSE', 'raw' in response ? root : { root });
}

/** Changes requests, as middleware finds them, and responses, as handlers find them: on Fastify, the replies. */
export function changeExchanges(app: INestApplication, change: (request: object, response: object) => void): void {
  if (app.getHttpAdapter().getType() === 'express') {
    app.use((request: object, response: object, next: () => void) => {
      change(request, response);
      next();
    });
  } else {
    const instance = app.getHttpAdapter().getInstance() as FastifyInstance;
    instance.addHook('onRequest', (request, reply, done) => {
      change(request.raw, reply);
      done();
    });
  }
}

/** Node's own request behind a handler's: what middleware has added is there. */
export function nodeRequest<T>(request: T): T {
  return (request as { raw?: T }).raw ?? request;
}

/** Node's own response behind a handler's, whoever responds. */
export function nodeResponse(response: ServerResponse): ServerResponse {
  return (response as unknown as Partial<FastifyReply>).raw ?? response;
}
