import { InvalidOptionError, type IoredisClient, type SessionAuthOptions } from '../../lib/index.js';
import { loadRedis } from '../../lib/redis/redis-package.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { SECRET } from '../support/application.js';
import { IOREDIS, type IoredisVersion } from '../support/ioredis-clients.js';

const lazyConnect = true;
const nodes = [{ host: 'localhost', port: 7000 }];
const sentinels = { sentinels: nodes, name: 'mymaster' };

function refusal(redis: unknown): InvalidOptionError {
  try {
    resolveOptions({ secret: SECRET, redis } as SessionAuthOptions, 'test');
  } catch (error) {
    return error as InvalidOptionError;
  }
  throw new Error('This was not refused');
}

describe.each<IoredisVersion>([5, 6])('a client of ioredis %s', (version) => {
  const { Redis, Cluster } = IOREDIS[version];

  it.each<[string, () => IoredisClient]>([
    ['Redis', () => new Redis({ lazyConnect, enableAutoPipelining: true })],
    ['Redis of a master behind Sentinel', () => new Redis({ lazyConnect, ...sentinels })],
    ['Cluster', () => new Cluster(nodes, { lazyConnect })],
  ])('is taken: a %s', (_, create) => {
    const client = create();

    expect(resolveOptions({ secret: SECRET, redis: { client } }, 'test').redis?.client).toBe(client);
  });

  it.each<[string, () => IoredisClient, RegExp]>([
    ['keyPrefix', () => new Redis({ lazyConnect, keyPrefix: 'app:' }), /give the prefix as the option "prefix"/],
    ['keyPrefix', () => new Cluster(nodes, { lazyConnect, keyPrefix: 'app:' }), /as the option "prefix"/],
    [
      'keyPrefix',
      () => new Cluster(nodes, { lazyConnect, redisOptions: { keyPrefix: 'app:' } }),
      /the option "prefix"/,
    ],
    ['stringNumbers', () => new Redis({ lazyConnect, stringNumbers: true }), /replies are no numbers/],
    ['stringNumbers', () => new Cluster(nodes, { lazyConnect, redisOptions: { stringNumbers: true } }), /no numbers/],
    ['readOnly', () => new Redis({ lazyConnect, readOnly: true }), /have to be written/],
    ['role', () => new Redis({ lazyConnect, ...sentinels, role: 'slave' }), /of the master/],
    ['monitor', () => new Redis({ lazyConnect, monitor: true }), /takes no commands/],
    ['scaleReads', () => new Cluster(nodes, { lazyConnect, scaleReads: 'slave' }), /a replica is asked.*Leave it out/],
    [
      'scaleReads',
      () => new Cluster(nodes, { lazyConnect, scaleReads: (all: unknown[]) => all[0] as never }),
      /a replica is asked/,
    ],
  ])('is refused with "%s"', (name, create, reason) => {
    const { option, message } = refusal({ client: create() });

    expect(option).toBe('redis.client');
    expect(message).toContain(`a client of ioredis with "${name}"`);
    expect(message).toMatch(reason);
  });

  it('is not its pipeline, which would send nothing', () => {
    const { option, message } = refusal({ client: new Redis({ lazyConnect }).pipeline() });

    expect(option).toBe('redis.client');
    expect(message).toMatch(/Give a client of createClient\(\).* of redis, or a Redis or Cluster of ioredis\.$/);
  });
});

describe('the package redis', () => {
  const failing = (code: string, message: string) => () => Promise.reject(Object.assign(new Error(message), { code }));

  it.each([
    ['an ES module', 'ERR_MODULE_NOT_FOUND', "Cannot find package 'redis' imported from /app/dist/main.js"],
    ['CommonJS', 'MODULE_NOT_FOUND', "Cannot find module 'redis'\nRequire stack: ..."],
  ])('has the boot fail by name where it is missing (from %s)', async (_, code, message) => {
    const error = (await loadRedis(failing(code, message)).catch((reason: unknown) => reason)) as InvalidOptionError;

    expect(error).toBeInstanceOf(InvalidOptionError);
    expect(error.option).toBe('redis');
    expect(error.message).toMatch(/"redis" is not installed.*npm install redis.*a client of ioredis: \{ client \}/);
  });

  it('fails by its own error where a part of it is missing', async () => {
    const load = failing('ERR_MODULE_NOT_FOUND', "Cannot find package '@redis/client' imported from redis");

    await expect(loadRedis(load)).rejects.toThrow("'@redis/client'");
  });
});
