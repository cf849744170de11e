import { KEEPERS, type VariantName, VARIANTS } from '../app/variant.js';
import { AppProcess } from './app-process.js';
import { ProxyProcess } from './proxy-process.js';
import { RedisStage } from './redis-stage.js';

/** An application and the Redis it keeps its sessions in. */
export interface Actor {
  app: AppProcess;
  redis: RedisStage;
}

/** Every process of a run. What was started here ends here. */
export class Stage {
  readonly #ends: (() => unknown)[] = [];
  readonly #actors = new Map<VariantName, Actor>();
  #redis?: Promise<RedisStage>;

  /** The redis-server that the four applications share. */
  redis(): Promise<RedisStage> {
    return (this.#redis ??= this.#startRedis());
  }

  /** The application of this variant, started when it is first asked for. */
  async actor(variant: VariantName): Promise<Actor> {
    const redis = await this.redis();
    const actor = this.#actors.get(variant) ?? (await this.anotherActor(variant, redis));
    this.#actors.set(variant, actor);
    return actor;
  }

  /** All four, or those that keep sessions. */
  actors(which: 'all' | 'keepers'): Promise<Actor[]> {
    return Promise.all((which === 'all' ? VARIANTS : KEEPERS).map((variant) => this.actor(variant)));
  }

  /** @param cached the application's client of Redis keeps what it has read, where the variant can do that */
  async anotherActor(
    variant: VariantName,
    redis: RedisStage,
    { port = redis.port, cached = false }: { port?: number; cached?: boolean } = {},
  ): Promise<Actor> {
    const app = await AppProcess.start(variant, redis.url(variant, port), cached ? { READ_CACHE: '1' } : {});
    this.#ends.push(() => app.stop());
    return { app, redis };
  }

  async slowLine(redis: RedisStage, delay: number): Promise<ProxyProcess> {
    const proxy = await ProxyProcess.start(redis.port, delay);
    this.#ends.push(proxy.stop);
    return proxy;
  }

  async close(): Promise<void> {
    // The last first: an application before its Redis.
    for (const end of this.#ends.splice(0).reverse()) await end();
  }

  async #startRedis(): Promise<RedisStage> {
    const redis = await RedisStage.start();
    this.#ends.push(() => redis.stop());
    return redis;
  }
}
