/**
 * Boots an application that fails at a stage of its boot and does nothing about it, in a process of its own. Usage:
 * node boot-process.mjs <stage> <url of Redis> <express or fastify>
 */
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { SessionAuthModule, SessionRegistry, UserSerializer } from 'nestjs-session-auth';

const [, , stage, url, platform] = process.argv;
const { ExpressAdapter, FastifyAdapter } = await import(`@nestjs/platform-${platform}`); // It has one of them.
const Adapter = ExpressAdapter ?? FastifyAdapter;

class Failing {
  async fail(at) {
    if (at !== stage) return;
    await this.registry.count('1'); // The connection is in use when the boot fails.
    throw new Error('failed as planned');
  }
  onModuleInit() {
    return this.fail('onModuleInit');
  }
  onApplicationBootstrap() {
    return this.fail('onApplicationBootstrap');
  }
}

class AnySerializer extends UserSerializer {}

class AppModule {}
Module({
  imports: [SessionAuthModule.forRoot({ secret: 'a secret that is only good for tests, 32 bytes', redis: { url } })],
  providers: [
    AnySerializer,
    {
      provide: Failing,
      inject: [SessionRegistry],
      useFactory: async (registry) => {
        const failing = Object.assign(new Failing(), { registry });
        await failing.fail('factory');
        return failing;
      },
    },
  ],
})(AppModule);

try {
  const app = await NestFactory.create(AppModule, new Adapter(), { logger: false, abortOnError: false });
  await app.init();
  await app.listen(1, '192.0.2.1'); // No address of this machine.
} catch (error) {
  console.log(`${stage}: ${error.code ?? error.message}`);
}
