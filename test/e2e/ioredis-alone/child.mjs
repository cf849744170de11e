/**
 * An application where the package redis is not installed. Tells by JSON what becomes of it.
 * Usage: node child.mjs <import or require> <url of a redis-server>
 */
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';

const [form, url] = process.argv.slice(2);
const name = 'nestjs-session-auth';
const library = await (form === 'require' ? createRequire(import.meta.url)(name) : import(name));
const { SESSION_STORE, SessionAuthModule, UserSerializer } = library;

class Serializer extends UserSerializer {
  serializeUser = ({ id }) => id;
  deserializeUser = (id) => ({ id });
}

function boot(redis) {
  class AppModule {}
  const secret = 'a secret that is only good for tests, 32 bytes';
  Module({ imports: [SessionAuthModule.forRoot({ secret, redis })], providers: [Serializer] })(AppModule);
  return NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
}

const refused = await boot({ url }).catch((error) => ({ option: error.option, message: error.message }));

const client = new Redis(url);
const app = await boot({ client });
const sessions = await app.get(SESSION_STORE).length();
await app.close();
client.disconnect();

console.log(JSON.stringify({ refused, sessions }));
