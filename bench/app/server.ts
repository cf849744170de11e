import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import type { Server } from 'node:http';
import { type DynamicModule, Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Profiler } from './profiler.js';
import type { Question, Reply } from './messages.js';
import type { Flag, VariantFile } from './variant.js';

/*
 * One application in a process of its own: `server.js <variant> <Redis URL> [flag...]`. It sends its parent the port it
 * listens on and replies to the parent's questions. It loads the file of its own variant only.
 */

@Module({})
class BenchModule {}

const [, , variant, redisUrl = '', ...flags] = process.argv;
const profiler = new Profiler();

async function listen(): Promise<number> {
  const { create } = (await import(`./${variant ?? ''}.app.js`)) as VariantFile;
  const { metadata, middleware = [] } = await create(redisUrl, new Set(flags as Flag[]));
  const root: DynamicModule = { module: BenchModule, ...metadata };
  const app = await NestFactory.create(root, { logger: false });
  for (const one of middleware) {
    app.use(one);
  }
  await app.listen(0, '127.0.0.1');
  return ((app.getHttpServer() as Server).address() as AddressInfo).port;
}

async function replyTo(question: Question): Promise<Reply> {
  switch (question) {
    case 'cpu': {
      const { user, system } = process.cpuUsage();
      return { cpu: user + system };
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
