import type { ModuleMetadata } from '@nestjs/common';
import type { NextFunction, Request, Response } from 'express';

/**
 * The four applications:
 * - `bare` has no authentication: what Nest and Express cost.
 * - `limit` asks Redis for one value and parses it: what no session library can go below.
 * - `hand-wired` is express-session, connect-redis and Passport, as their READMEs and Nest's documentation have it.
 * - `ours` is this library.
 */
export const VARIANTS = ['bare', 'limit', 'hand-wired', 'ours'] as const;
export type VariantName = (typeof VARIANTS)[number];

/** Those that keep sessions, and so have something to grow. */
export const KEEPERS = ['limit', 'hand-wired', 'ours'] as const satisfies VariantName[];

/** What one variant adds to the application that all have in common. */
export interface Variant {
  /** Of the root module. */
  metadata: ModuleMetadata;
  /** What its `main.ts` mounts before anything else. */
  middleware?: Middleware[];
}

export type Middleware = (request: Request, response: Response, next: NextFunction) => void;

/** What each `<variant>.app.ts` exports. */
export interface VariantFile {
  create: (redisUrl: string) => Variant | Promise<Variant>;
}

/** Signs the cookies, so that the benchmark can sign some of its own. */
export const SECRET = 'a secret that is only good for benchmarks';

/** What the open page answers, to a guest here. */
export function greeting(user: { name: string } | undefined): { hello: string } {
  return { hello: user?.name ?? 'guest' };
}
