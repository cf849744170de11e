import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { NestFactory } from '@nestjs/core';
import type { NestExpressApplication } from '@nestjs/platform-express';
import type { NextFunction, Request, Response } from 'express';
import { AppModule } from './app.module.js';

const app = await NestFactory.create<NestExpressApplication>(AppModule);
app.disable('x-powered-by');
// For files too, hence before them.
app.use((_request: Request, response: Response, next: NextFunction) => {
  response.set({
    'Content-Security-Policy':
      "default-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    'X-Content-Type-Options': 'nosniff',
  });
  next();
});
app.useStaticAssets(join(import.meta.dirname, 'public'));
app.use((_request: Request, response: Response, next: NextFunction) => {
  response.set('Cache-Control', 'no-store');
  next();
});
app.enableShutdownHooks();
await app.listen(process.env.PORT ?? 3000);

const { port } = app.getHttpServer().address() as AddressInfo;
const { REDIS_URL, SESSION_SECRET } = process.env;
if (!SESSION_SECRET) console.log('SESSION_SECRET is not set: a random one is used, so sessions end with a restart.');
console.log(`
  http://localhost:${port}

  Log in as ada (password lovelace) or grace (password hopper).
  Sessions are kept ${REDIS_URL ? 'in Redis' : 'in this process (set REDIS_URL to keep them in Redis)'}.
`);
