import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type DynamicModule, type INestApplication, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { onRequestHookHandler } from 'fastify';
import { serveGateways } from './live.gateway.js';
import { Profiler } from './profiler.js';
import type { Question, Reply } from './messages.js';
import type { Flag, Variant, VariantFile } from './variant.js';

/*
 * One application in a process of its own: `server.js <variant> <Redis URL> [flag...]`. It sends its parent the port it
 * listens on and replies to the parent's questions. It loads the file of its own variant only.
 */

@Module({})
class BenchModule {}

const [, , name, redisUrl = '', ...flags] = process.argv;
const profiler = new Profiler();

async function listen(): Promise<number> {
  const { create } = (await import(`./${name ?? ''}.app.js`)) as VariantFile;
  const variant = await create(redisUrl, new Set(flags as Flag[]));
  const app = await (flags.includes('fastify') ? onFastify(variant) : onExpress(variant));
  if (flags.includes('connections')) {
    serveGateways(app, flags);
  }
  await app.listen(0, '127.0.0.1');
  await age();
  return ((app.getHttpServer() as Server).address() as AddressInfo).port;
}

/**
 * Collects all garbage once, as it happens to every process that lives for long, or boots something large. V8 then
 * forgets the shape of the objects that `process.nextTick()` makes, and calls of that cost several times as much for as
 * long as the process lives. Without this, it would depend on how much a variant loads whether it has come to that.
 */
async function age(): Promise<void> {
  await nextTurn();
  globalThis.gc?.();
}

async function onExpress({ metadata, middleware = [] }: Variant): Promise<INestApplication> {
  const app = await NestFactory.create(rootOf(metadata), { logger: false });
  for (const one of middleware) {
    app.use(one);
  }
  return app;
}

async function onFastify({
  metadata,
  middleware = [],
  plugins = [],
  bodyParser = true,
}: Variant): Promise<INestApplication> {
  const options = { logger: false, bodyParser } as const;
  const app = await NestFactory.create<NestFastifyApplication>(rootOf(metadata), new FastifyAdapter(), options);
  for (const [plugin, options] of plugins) {
    await app.register(plugin, options);
  }
  for (const one of middleware) {
    app
      .getHttpAdapter()
      .getInstance()
      .addHook('onRequest', one as unknown as onRequestHookHandler);
  }
  return app;
}

function rootOf(metadata: Variant['metadata']): DynamicModule {
  return { module: BenchModule, ...metadata };
}

async function replyTo(question: Question): Promise<Reply> {
  switch (question) {
    case 'cpu': {
      const { user, system } = process.cpuUsage();
      return { cpu: user + system };
    }
    case 'memory': {
      globalThis.gc?.();
      const { heapUsed, external } = process.memoryUsage();
      return { memory: heapUsed + external };
    }
    case 'start-profile':
      await profiler.start();
      return {};
    case 'stop-profile':
      return { profile: await profiler.stop() };
  }
}

function send(reply: Reply): void {
  process.send?.(reply);
}

process.on('disconnect', () => process.exit());
process.on('message', (question: Question) => {
  void replyTo(question).then(send);
});
send({ port: await listen() });
