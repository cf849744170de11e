import { type Flag, STATEFUL, type VariantName, VARIANTS } from '../app/variant.js';
import { AppProcess, type AppOptions } from './app-process.js';
import { installBuild } from './other-build.js';
import { ProxyProcess } from './proxy-process.js';
import { RedisStage } from './redis-stage.js';

/** An application and the Redis it keeps its sessions in. */
export interface Actor {
  app: AppProcess;
  redis: RedisStage;
}

export interface ActorOptions extends Pick<AppOptions, 'folder' | 'execPath'> {
  /** Of a proxy in front of Redis. */
  port?: number;
  flags?: readonly Flag[];
}

/** Every process of a run. `close()` ends all that were started here. */
export class Stage {
  /** The variants that take part. */
  readonly variants: readonly VariantName[];
  readonly #ends: (() => unknown)[] = [];
  readonly #actors = new Map<VariantName, Actor>();
  readonly #before: string | undefined;
  #redis?: Promise<RedisStage>;

  /** @param against a checkout with the build of the library that `before` runs on */
  constructor(against?: string) {
    this.#before = against === undefined ? undefined : installBuild(against);
    const others: VariantName[] = ['better-auth', ...(against === undefined ? ['before' as const] : [])];
    this.variants = VARIANTS.filter((variant) => !others.includes(variant));
  }

  /** The redis-server that the applications share. */
  redis(): Promise<RedisStage> {
    return (this.#redis ??= this.anotherRedis());
  }

  /** A redis-server besides that one, which a scenario may take away from its application. */
  async anotherRedis(): Promise<RedisStage> {
    const redis = await RedisStage.start();
    this.#ends.push(() => redis.stop());
    return redis;
  }

  /** The application of this variant, started on first use. */
  async actor(variant: VariantName): Promise<Actor> {
    const redis = await this.redis();
    const actor = this.#actors.get(variant) ?? (await this.anotherActor(variant, redis));
    this.#actors.set(variant, actor);
    return actor;
  }

  /** All that take part, or those that store sessions. */
  actors(which: 'all' | 'stateful'): Promise<Actor[]> {
    return Promise.all((which === 'all' ? this.variants : STATEFUL).map((variant) => this.actor(variant)));
  }

  async anotherActor(
    variant: VariantName,
    redis: RedisStage,
    { port = redis.port, flags = [], ...rest }: ActorOptions = {},
  ): Promise<Actor> {
    const app = await AppProcess.start(variant, {
      redisUrl: redis.url(variant, port),
      flags,
      ...rest,
      ...(variant === 'before' && { file: 'ours', folder: this.#before }),
    });
    this.#ends.push(() => app.stop());
    return { app, redis };
  }

  async slowLine(redis: RedisStage, delay: number): Promise<ProxyProcess> {
    const proxy = await ProxyProcess.start(redis.port, delay);
    this.#ends.push(proxy.stop);
    return proxy;
  }

  /** Has `close()` end something else. */
  closing(end: () => unknown): void {
    this.#ends.push(end);
  }

  async close(): Promise<void> {
    // The last first: an application before its Redis.
    for (const end of this.#ends.splice(0).reverse()) await end();
  }
}
