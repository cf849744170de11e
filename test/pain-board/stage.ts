import { DelayProxy } from '../support/delay-proxy.js';
import { RedisServer } from '../support/redis-server.js';
import {
  TestApplication,
  type TestApplicationOptions,
  SnapshotSerializer,
  LocalStrategy,
} from '../support/application.js';
import { Gates } from '../support/gate.js';
import { ControlApplication, type ControlOptions, UserSnapshotSerializer } from './control.js';
import { BoardController } from './routes.js';

/** Where a file's scenarios are played: a redis-server, and the applications a test starts on it. */
export class Stage {
  redis!: RedisServer;
  /** Sees what is in Redis, whatever becomes of the applications. */
  client!: Awaited<ReturnType<RedisServer['client']>>;
  readonly #closers: (() => unknown)[] = [];

  async open(): Promise<void> {
    this.redis = await RedisServer.start();
    this.client = await this.redis.client();
  }

  /** Ends what one test started, the last first. */
  async clear(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
    await this.refuseWrites(false);
    await this.client.flushAll();
  }

  async close(): Promise<void> {
    await this.redis.stop();
  }

  closing<T extends { close(): unknown } | { stop(): unknown }>(thing: T): T {
    this.#closers.push(() => ('close' in thing ? thing.close() : thing.stop()));
    return thing;
  }

  /** A line to the redis-server that can be made slow, to give to an application as its `redis`. */
  async line(): Promise<DelayProxy & { url: string }> {
    const proxy = this.closing(await DelayProxy.start({ port: this.redis.port }));
    return Object.assign(proxy, { url: `redis://127.0.0.1:${proxy.port}` });
  }

  /** The server answers reads, and refuses writes with an error, until told otherwise. */
  async refuseWrites(refused = true): Promise<void> {
    await this.client.configSet('min-replicas-to-write', refused ? '1' : '0');
  }

  /** The control: an application wired by hand. */
  async handWired(options: Partial<ControlOptions> = {}): Promise<ControlApplication> {
    const { controllers = [], providers = [UserSnapshotSerializer, LocalStrategy] } = options;
    return this.closing(
      await ControlApplication.start({
        redis: this.redis,
        ...options,
        controllers: [BoardController, ...controllers],
        providers: [Gates, ...providers],
      }),
    );
  }

  /** An application with the module. */
  async here(application: TestApplicationOptions = {}): Promise<TestApplication> {
    const { options, controllers = [], providers = [SnapshotSerializer, LocalStrategy] } = application;
    return this.closing(
      await TestApplication.start({
        ...application,
        options: { redis: { url: this.redis.url }, ...options },
        controllers: [BoardController, ...controllers],
        providers: [Gates, ...providers],
      }),
    );
  }

  /** The keys of the sessions in Redis, and of nothing that is noted about them. */
  async sessions(): Promise<string[]> {
    const keys = await this.client.keys('*');
    return keys.filter((key) => !/:user:|:ended$/.test(key));
  }
}

/** A stage for the tests of one file. */
export function stage(): Stage {
  const stage = new Stage();
  beforeAll(() => stage.open());
  afterEach(() => stage.clear());
  afterAll(() => stage.close());
  return stage;
}
