import { execFile } from 'node:child_process';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import {
  type DynamicModule,
  Global,
  type INestApplicationContext,
  Inject,
  Injectable,
  Module,
  type ModuleMetadata,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { Test } from '@nestjs/testing';
import type { Store } from 'express-session';
import { SESSION_STORE, SessionAuthModule, SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SECRET, SnapshotSerializer, TestApplication } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { freePort } from '../../scripts/free-port.mjs';
import { createAdapter, describePlatforms, type Platform } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';

const PLANNED = 'failed as planned';
const fail = () => {
  throw new Error(PLANNED);
};

let redis: RedisServer;
beforeAll(async () => {
  redis = await RedisServer.start();
});
afterAll(() => redis.stop());

/** Connections to Redis by TCP, as the module makes them. The question itself comes by another socket. */
async function connections(): Promise<number> {
  const list = await redis.ask('CLIENT', 'LIST');
  return Array.from(list.matchAll(/ addr=127\.0\.0\.1:/g)).length;
}

const noneIsLeft = () => eventually('no connection to be left', async () => (await connections()) === 0);

type AnyModule = new () => object;

/** An application with more providers, or modules, in it. */
function applicationWith(more: Pick<ModuleMetadata, 'providers' | 'imports'> = {}): AnyModule {
  class AppModule {}
  Module({
    imports: [...(more.imports ?? []), SessionAuthModule.forRoot({ secret: SECRET, redis: { url: redis.url } })],
    providers: [SnapshotSerializer, ...(more.providers ?? [])],
  })(AppModule);
  return AppModule;
}

/** A module with hooks, globally known or not. */
function moduleOf(hooks: object, isGlobal = false): AnyModule {
  class HookModule {}
  Object.assign(HookModule.prototype, hooks);
  if (isGlobal) Global()(HookModule);
  Module({})(HookModule);
  return HookModule;
}

const NEST = { logger: false, abortOnError: false } as const;

type Boot = (module: AnyModule) => Promise<INestApplicationContext>;

/** The ways to boot an application. */
const bootsOn = (platform: Platform): [string, Boot][] => [
  ['NestFactory.create()', async (module) => (await NestFactory.create(module, createAdapter(platform), NEST)).init()],
  [
    'Test.createTestingModule()',
    async (module) => {
      const testing = await Test.createTestingModule({ imports: [module] }).compile();
      return testing.createNestApplication(createAdapter(platform), NEST).init();
    },
  ],
  [
    'listen()',
    async (module) => {
      const app = await NestFactory.create(module, createAdapter(platform), NEST);
      await app.listen(0, '127.0.0.1');
      return app;
    },
  ],
];

/** The way that no platform has a part in. */
const WITHOUT_PLATFORM: [string, Boot][] = [
  ['NestFactory.createApplicationContext()', (module) => NestFactory.createApplicationContext(module, NEST)],
];

@Injectable()
class UsesStoreInHooks {
  readonly counts: number[] = [];
  fails = false;

  constructor(
    private readonly registry: SessionRegistry,
    @Inject(SESSION_STORE) private readonly store: Store & { length(): Promise<number> },
  ) {}

  async onModuleInit(): Promise<void> {
    this.counts.push(await this.registry.count('1'));
  }

  async onApplicationBootstrap(): Promise<void> {
    this.counts.push(await this.store.length());
    if (this.fails) fail();
  }
}

@Injectable()
class FailsAfterUse extends UsesStoreInHooks {
  override fails = true;
}
Inject(SessionRegistry)(FailsAfterUse, undefined, 0);
Inject(SESSION_STORE)(FailsAfterUse, undefined, 1);

class FailingConstructor {
  constructor() {
    fail();
  }
}

function describeBoots(boots: [string, Boot][]): void {
  describe.each(boots)('a boot by %s', (_, boot) => {
    it.each<[string, () => AnyModule]>([
      ['the constructor of a provider', () => applicationWith({ providers: [FailingConstructor] })],
      [
        'a factory',
        () => applicationWith({ providers: [{ provide: 'x', useFactory: () => Promise.reject(new Error(PLANNED)) }] }),
      ],
      [
        'a factory that has used the store',
        () =>
          applicationWith({
            providers: [
              {
                provide: 'x',
                inject: [SessionRegistry],
                useFactory: (registry: SessionRegistry) => registry.count('1').then(fail),
              },
            ],
          }),
      ],
      ["a module's onModuleInit", () => applicationWith({ imports: [moduleOf({ onModuleInit: fail })] })],
      [
        "a provider's onModuleInit",
        () => applicationWith({ providers: [{ provide: 'x', useValue: { onModuleInit: fail } }] }),
      ],
      [
        "a module's onApplicationBootstrap",
        () => applicationWith({ imports: [moduleOf({ onApplicationBootstrap: fail })] }),
      ],
      [
        "a global module's onApplicationBootstrap",
        () => applicationWith({ imports: [moduleOf({ onApplicationBootstrap: fail }, true)] }),
      ],
      [
        "the root module's onApplicationBootstrap",
        () => {
          const module = applicationWith();
          Object.assign(module.prototype as object, { onApplicationBootstrap: fail });
          return module;
        },
      ],
      ['an onApplicationBootstrap that has used the store', () => applicationWith({ providers: [FailsAfterUse] })],
    ])('that fails in %s leaves no connection behind', async (_where, module) => {
      await expect(boot(module())).rejects.toThrow(PLANNED);

      await noneIsLeft();
    });

    it('connects to Redis once, for as long as the application runs', async () => {
      const app = await boot(applicationWith());

      expect(await connections()).toBe(1);
      expect(await app.get(SessionRegistry).count('1')).toBe(0);
      expect(await connections()).toBe(1);
      await app.close();
      await noneIsLeft();
    });

    it('lets its hooks use the store before that', async () => {
      const app = await boot(applicationWith({ providers: [UsesStoreInHooks] }));

      expect(app.get(UsesStoreInHooks).counts).toEqual([0, 0]);
      await eventually('one connection to be left', async () => (await connections()) === 1);
      await app.close();
      await noneIsLeft();
    });
  });
}

/** Boots in a process of its own, which fails at this stage. */
async function expectEnd(stage: string, reason: string, platform: Platform): Promise<void> {
  const program = join(import.meta.dirname, 'boot-process.mjs');
  const args = [program, stage, redis.url, platform];
  const { stdout } = await promisify(execFile)(process.execPath, args, { timeout: 20_000 });

  expect(stdout).toBe(`${stage}: ${reason}\n`);
  await noneIsLeft();
}

describeBoots(WITHOUT_PLATFORM);

describePlatforms((platform) => {
  describeBoots(bootsOn(platform));

  it('no connection is open while the hooks onModuleInit run', async () => {
    let seen: number | undefined;
    const onModuleInit = async () => {
      seen = await connections();
    };
    const app = await NestFactory.create(
      applicationWith({ imports: [moduleOf({ onModuleInit })] }),
      createAdapter(platform),
      NEST,
    );
    await app.init();

    expect(seen).toBe(0);
    await app.close();
  });

  it('a server that cannot listen leaves no connection behind; with another port it has one again', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    const { port } = await new Promise<{ port: number }>((resolve) => {
      taken.once('listening', () => resolve(taken.address() as { port: number }));
    });
    const app = await NestFactory.create(applicationWith(), createAdapter(platform), NEST);

    await expect(app.listen(port, '127.0.0.1')).rejects.toThrow('EADDRINUSE');
    await noneIsLeft();

    await app.listen(0, '127.0.0.1');
    await eventually('a connection', async () => (await connections()) === 1);
    await app.close();
    taken.close();
    await noneIsLeft();
  });

  it("the use of a Redis that is not there fails as a request's does, and the boot goes on", async () => {
    const seen: unknown[] = [];
    @Injectable()
    class Counting {
      constructor(private readonly registry: SessionRegistry) {}
      async onModuleInit(): Promise<void> {
        await this.registry.count('1').catch((error: unknown) => seen.push(error));
      }
    }
    const options = { redis: { url: `redis://127.0.0.1:${await freePort()}` }, redisTimeout: 100 };
    const application = await TestApplication.start({
      options,
      providers: [SnapshotSerializer, LocalStrategy, Counting],
    });

    expect(seen).toEqual([expect.objectContaining({ code: 'session_store_unavailable' })]);
    expect((await application.browser().get('/public')).status).toBe(200);
    await application.close();
  });

  it.each([
    ['onApplicationBootstrap', PLANNED],
    ['listen', 'EADDRNOTAVAIL'],
  ])('a process whose boot fails at %s ends by itself', (stage, reason) => expectEnd(stage, reason, platform));
});

it('a testing module that is never initialised nor closed uses the store and leaves no connection behind', async () => {
  const testing = await Test.createTestingModule({ imports: [applicationWith()] }).compile();

  expect(await testing.get(SessionRegistry).count('1')).toBe(0);
  await noneIsLeft();
  expect(await testing.get(SessionRegistry).count('1')).toBe(0);
  await noneIsLeft();
});

it('a testing module that is closed without having been initialised leaves no connection behind', async () => {
  const testing = await Test.createTestingModule({ imports: [applicationWith()] }).compile();
  await testing.get(SessionRegistry).count('1');
  await testing.close();

  expect(await connections()).toBe(0);
});

it.each(['onModuleInit', 'onApplicationBootstrap'])(
  "a client of the application's own stays open where the boot fails in %s",
  async (hook) => {
    const client = await redis.client();
    const module: DynamicModule = SessionAuthModule.forRoot({ secret: SECRET, redis: { client } });
    class AppModule {}
    Module({ imports: [module, moduleOf({ [hook]: fail })], providers: [SnapshotSerializer] })(AppModule);

    await expect(NestFactory.createApplicationContext(AppModule, NEST)).rejects.toThrow(PLANNED);

    expect(await client.ping()).toBe('PONG');
    client.destroy();
    await noneIsLeft();
  },
);

it('an application context, which serves nothing, boots with a Secure cookie', async () => {
  const module = SessionAuthModule.forRoot({ secret: SECRET, cookie: { secure: true } });
  class AppModule {}
  Module({ imports: [module], providers: [SnapshotSerializer] })(AppModule);
  const context = await NestFactory.createApplicationContext(AppModule, NEST);

  expect(await context.get(SessionRegistry).count('1')).toBe(0);
  await context.close();
});

// Before the hooks onApplicationBootstrap, no platform has opened anything: one is enough.
it.each(['factory', 'onModuleInit'])('a process whose boot fails at %s ends by itself', (stage) =>
  expectEnd(stage, PLANNED, 'express'),
);
