/**
 * One process that has loaded both builds of the package. Tells by JSON what it saw.
 * Usage: node child.mjs <express or fastify>
 */
import 'reflect-metadata';
import { createRequire } from 'node:module';
import { Controller, Module, Post, UseGuards } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import passport from 'passport';

const { ExpressAdapter, FastifyAdapter } = await import(`@nestjs/platform-${process.argv[2]}`); // It has one of them.
const Adapter = ExpressAdapter ?? FastifyAdapter;

const require = createRequire(import.meta.url);
const cjs = require('../../../dist/cjs/index.js');
const guardOfCommonJs = cjs.LoginGuard('knowing'); // The first one that is made.
const esm = await import('../../../dist/esm/index.js');

class Knowing extends passport.Strategy {
  name = 'knowing';
  authenticate() {
    this.success({ id: '1' });
  }
}
class Serializer extends esm.UserSerializer {
  serializeUser = ({ id }) => id;
  deserializeUser = (id) => ({ id });
}
class LoginController {
  logIn() {
    return 'in';
  }
}
const route = Object.getOwnPropertyDescriptor(LoginController.prototype, 'logIn');
Controller()(LoginController);
Post('login')(LoginController.prototype, 'logIn', route);
UseGuards(guardOfCommonJs)(LoginController.prototype, 'logIn', route);

class AppModule {}
Module({
  imports: [esm.SessionAuthModule.forRoot({ secret: 'a secret that is only good for tests, 32 bytes' })],
  providers: [Serializer, Knowing],
  controllers: [LoginController],
})(AppModule);

const app = await NestFactory.create(AppModule, new Adapter(), { logger: false, abortOnError: false });
await app.listen(0, '127.0.0.1');
const response = await fetch(`${await app.getUrl()}/login`, { method: 'POST' });
console.log(
  JSON.stringify({
    bothLoaded: esm.LoginGuard !== cjs.LoginGuard,
    sameGuard: esm.LoginGuard('knowing') === guardOfCommonJs,
    status: response.status,
    cookies: response.headers.getSetCookie().length,
  }),
);
await app.close();
