import type { ModuleMetadata } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';
import type { FastifyPluginCallback } from 'fastify';

/**
 * The applications:
 * - `bare` has no authentication: the cost of Nest and its platform.
 * - `limit` reads one value from Redis and parses it: no session library can cost less.
 * - `hand-wired` is express-session, connect-redis and Passport, as their READMEs and Nest's documentation show them; on
 *   Fastify @fastify/session, connect-redis and @fastify/passport.
 * - `ours` is this library.
 * - `before` is `ours` with another build of the library; it takes part only with `--against`.
 * - `better-auth` is @thallesp/nestjs-better-auth; it takes part only in the scenario of that name.
 */
export const VARIANTS = ['bare', 'limit', 'hand-wired', 'ours', 'before', 'better-auth'] as const;
export type VariantName = (typeof VARIANTS)[number];

/** The variants that store sessions, in the scenarios whose data grows. */
export const STATEFUL = ['limit', 'hand-wired', 'ours'] as const satisfies VariantName[];

/**
 * Departures from the application that a variant's documentation shows:
 * - `fastify`: on Fastify, in the place of Express.
 * - `connections`: `bare` and `ours` with a gateway over `ws`, which `ours` guards; with `socket.io` over that.
 * - `ioredis`: `ours` with a client of ioredis.
 * - `metrics`: `ours` with `SessionMetrics`.
 * - `read-cache`: `ours` with a client that caches what it reads.
 * - `no-device`: `ours` with `device: false`.
 * - `devices`: `ours` with a limit of three sessions per user, and routes that list, count and end a user's sessions.
 * - `production`: the session holds the user's id alone, and `hand-wired` sets the cookie options that every deployment
 *   sets; express-session stores those with each session.
 */
export type Flag =
  | 'fastify'
  | 'connections'
  | 'socket.io'
  | 'ioredis'
  | 'metrics'
  | 'read-cache'
  | 'no-device'
  | 'devices'
  | 'production';

/** What one variant adds to the application that all have in common. */
export interface Variant {
  /** Of the root module. */
  metadata: ModuleMetadata;
  /** Mounted in `main.ts`, before anything else. On Fastify they are `onRequest` hooks, which cost less than its middleware. */
  middleware?: Middleware[];
  /** Registered in `main.ts`, on Fastify. */
  plugins?: FastifyPlugin[];
  /** Set to `false` by a variant that brings a body parser of its own. */
  bodyParser?: boolean;
}

export type FastifyPlugin = [plugin: FastifyPluginCallback, options?: object];

export type Middleware = (request: Request, response: Response, next: NextFunction) => void;

/** The export of each `<variant>.app.ts`. */
export interface VariantFile {
  create: (redisUrl: string, flags: ReadonlySet<Flag>) => Variant | Promise<Variant>;
}

/** Signs the cookies. The benchmark signs some itself. */
export const SECRET = 'a secret that is only good for benchmarks';

/** The open page's response; a guest is a user who is not logged in. */
export function greeting(user: { name: string } | undefined): { hello: string } {
  return { hello: user?.name ?? 'guest' };
}
