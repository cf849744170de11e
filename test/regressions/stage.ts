import {
  TestApplication,
  type TestApplicationOptions,
  SnapshotSerializer,
  LocalStrategy,
} from '../support/application.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, placesOn, type Platform } from '../support/platforms.js';
import { DEPLOYMENTS, type DeploymentKind, type RedisClient, RedisDeployment } from '../support/redis-deployment.js';
import type { RedisLine } from '../support/redis-line.js';
import type { RedisMonitor } from '../support/redis-monitor.js';
import type { RedisServer } from '../support/redis-server.js';
import { ControlApplication, type ControlOptions, UserSnapshotSerializer } from './control.js';
import { ExpressSessionController } from './routes.js';

/** Where a file's scenarios are played: a redis-server or a cluster, and the applications a test starts on it. */
export class Stage {
  /** `it`, where there is one server: of rows about its outage, which test/topology and test/chaos have of a cluster's. */
  readonly single: typeof it | undefined;
  /** `it`, where the controls are played: on Express and one server, since they only show that a scenario can fail. */
  readonly control: typeof it | undefined;
  #redis!: RedisDeployment;
  readonly #closers: (() => unknown)[] = [];

  constructor(
    platform: Platform,
    private readonly where: DeploymentKind,
  ) {
    this.single = where === 'redis' ? it : undefined;
    this.control = platform === 'express' ? this.single : undefined;
  }

  async open(): Promise<void> {
    this.#redis = await RedisDeployment.start(this.where);
  }

  /** Ends what one test started, the last first. */
  async clear(): Promise<void> {
    for (const close of this.#closers.splice(0).reverse()) await close();
    await this.refuseWrites(false);
    await this.flush();
  }

  async close(): Promise<void> {
    await this.#redis.stop();
  }

  /** The one server. */
  get redis(): RedisServer {
    return this.#redis.server;
  }

  /** Sees what is in Redis, whatever becomes of the applications. */
  get client(): RedisClient {
    return this.#redis.client;
  }

  closing<T extends { close(): unknown } | { stop(): unknown }>(thing: T): T {
    this.#closers.push(() => ('close' in thing ? thing.close() : thing.stop()));
    return thing;
  }

  /** A line to Redis that can be made slow, and whose `options` an application takes as its `redis`. */
  async line(): Promise<RedisLine> {
    return this.closing(await this.#redis.line());
  }

  /** Reads along what Redis is asked. */
  async monitor(): Promise<RedisMonitor> {
    return this.closing(await this.#redis.monitor());
  }

  /** Redis answers reads, and refuses writes with an error, until told otherwise. */
  refuseWrites(refused = true): Promise<void> {
    return this.#redis.refuseWrites(refused);
  }

  /** The control: an application wired by hand. */
  async handWired(options: Partial<ControlOptions> = {}): Promise<ControlApplication> {
    const { controllers = [], providers = [UserSnapshotSerializer, LocalStrategy] } = options;
    return this.closing(
      await ControlApplication.start({
        redis: this.redis,
        ...options,
        controllers: [ExpressSessionController, ...controllers],
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
        options: { redis: this.#redis.options, ...options },
        controllers: [ExpressSessionController, ...controllers],
        providers: [Gates, ...providers],
      }),
    );
  }

  /** What Redis was asked while the work went on, but for what runs it and what asked this: calls per command. */
  async asked(work: () => Promise<unknown>): Promise<Record<string, number>> {
    const before = await this.#redis.commandStats();
    await work();
    const after = await this.#redis.commandStats();
    const grown = Object.entries(after).map(([name, calls]) => [name, calls - (before[name] ?? 0)] as const);
    return Object.fromEntries(
      grown.filter(([name, calls]) => calls > 0 && !/^(info|quit|replconf|cluster\|nodes)$/.test(name)),
    );
  }

  keys(): Promise<string[]> {
    return this.#redis.keys();
  }

  /** The keys of the sessions in Redis: not of users' indexes, nor of what remains of sessions that were ended. */
  async sessions(): Promise<string[]> {
    const keys = (await this.keys()).filter((key) => !key.endsWith('}'));
    const values = await Promise.all(keys.map((key) => this.client.get(key)));
    return keys.filter((_, i) => values[i]?.startsWith('{"ended":') === false);
  }

  /** How many clients listen to a channel. */
  subscribers(channel: string): Promise<number> {
    return this.#redis.subscribers(channel);
  }

  /** Cuts the lines of all who listen to channels. */
  cutSubscribers(): Promise<void> {
    return this.#redis.cutSubscribers();
  }

  flush(): Promise<void> {
    return this.#redis.flush();
  }
}

/** A stage for the tests of one file, or of a `describe` of it. */
export function stage(platform: Platform, where: DeploymentKind = 'redis'): Stage {
  const stage = new Stage(platform, where);
  beforeAll(() => stage.open());
  afterEach(() => stage.clear());
  afterAll(() => stage.close());
  return stage;
}

/** The same scenarios on each platform and each deployment of Redis. */
export function describeStages(scenarios: (on: Stage) => void): void {
  describePlatforms((platform) => {
    describe.each(placesOn(platform, DEPLOYMENTS))('with sessions in %s,', (where) => {
      scenarios(stage(platform, where));
    });
  });
}
