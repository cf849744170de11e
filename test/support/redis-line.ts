import type { RedisOptions } from '../../lib/index.js';
import { DelayProxy } from './delay-proxy.js';
import type { RedisAccess } from './redis-access.js';

/** Slow, breakable lines to one server, or to all masters of a cluster, that are treated as one. */
export class RedisLine {
  private constructor(
    private readonly proxies: readonly DelayProxy[],
    /** An application's `redis`. */
    readonly options: RedisOptions,
  ) {}

  static async to(server: RedisAccess): Promise<RedisLine> {
    const proxy = await DelayProxy.start({ port: server.port });
    return new RedisLine([proxy], { url: urlOf(proxy) });
  }

  /** A client that comes by these lines is sent by them to every master, too. */
  static async toAll(masters: readonly RedisAccess[]): Promise<RedisLine> {
    const proxies = await Promise.all(masters.map(({ port }) => DelayProxy.start({ port })));
    const nodeAddressMap = Object.fromEntries(
      proxies.map(({ host, port }, i) => [`${host}:${masters[i]!.port}`, { host, port }]),
    );
    return new RedisLine(proxies, {
      cluster: { rootNodes: proxies.map((proxy) => ({ url: urlOf(proxy) })), nodeAddressMap },
    });
  }

  /** Of the one server. */
  get url(): string {
    if (this.options.url === undefined) throw new Error('These lines go to the masters of a cluster');
    return this.options.url;
  }

  /** Milliseconds that bytes take each way. */
  set delay(delay: number) {
    for (const proxy of this.proxies) proxy.delay = delay;
  }

  /** How many chunks are on their way. */
  get held(): number {
    return this.proxies.reduce((sum, { held }) => sum + held, 0);
  }

  /** How many connections are open. */
  get connections(): number {
    return this.proxies.reduce((sum, { connections }) => sum + connections, 0);
  }

  /** Open connections stay open and carry nothing any more; new ones work. */
  forget(): void {
    for (const proxy of this.proxies) proxy.forget();
  }

  pause(): void {
    for (const proxy of this.proxies) proxy.pause();
  }

  resume(): void {
    for (const proxy of this.proxies) proxy.resume();
  }

  resetAll(): void {
    for (const proxy of this.proxies) proxy.resetAll();
  }

  async close(): Promise<void> {
    await Promise.all(this.proxies.map((proxy) => proxy.close()));
  }
}

function urlOf({ host, port }: DelayProxy): string {
  return `redis://${host}:${port}`;
}
