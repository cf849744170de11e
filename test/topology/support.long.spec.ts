import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createClient, createCluster } from 'redis';
import { redisServerBinaries } from '../../scripts/redis-server-binary.mjs';
import { createUser, denials } from '../support/redis-acl.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { DEPLOYMENTS, RedisDeployment } from '../support/redis-deployment.js';
import { RedisServer } from '../support/redis-server.js';
import { RedisTls } from '../support/redis-tls.js';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function closing<T extends { stop(): unknown }>(thing: T): T {
  closers.push(() => thing.stop());
  return thing;
}

describe('redisServerBinaries', () => {
  /** A directory of commands that tell these versions, or are links to others. */
  function commands(versions: Record<string, string | { to: string }>): string {
    const directory = mkdtempSync(join(tmpdir(), 'binaries-'));
    closers.push(() => rmSync(directory, { recursive: true }));
    for (const [name, version] of Object.entries(versions)) {
      const file = join(directory, name);
      if (typeof version === 'object') symlinkSync(version.to, file);
      else writeFileSync(file, `#!/bin/sh\necho '${version}'\n`);
      chmodSync(file, 0o755);
    }
    return directory;
  }

  it('lists what is on PATH, a link to another only once', () => {
    const both = commands({ 'redis-server': 'Redis server v=7', 'valkey-server': 'Valkey server v=8' });
    const linked = commands({ 'valkey-server': 'Valkey server v=8', 'redis-server': { to: 'valkey-server' } });

    expect(redisServerBinaries({ PATH: both })).toEqual(['redis-server', 'valkey-server']);
    expect(redisServerBinaries({ PATH: linked })).toEqual(['redis-server']);
    expect(redisServerBinaries({ PATH: '/nowhere' })).toEqual([]);
  });

  it('lists the one that was asked for and no other, and refuses one that does not run', () => {
    const PATH = commands({ 'redis-server': 'Redis server v=7', other: 'Redis server v=9' });

    expect(redisServerBinaries({ PATH, REDIS_SERVER_BIN: 'other' })).toEqual(['other']);
    expect(() => redisServerBinaries({ PATH, REDIS_SERVER_BIN: 'none' })).toThrow('"none", which does not run');
  });
});

describe('RedisCluster', () => {
  it('serves every slot by three masters, counts their commands together, and is emptied as one', async () => {
    const cluster = closing(await RedisCluster.start());
    const client = await cluster.client();
    const keys = Array.from({ length: 30 }, (_, i) => `key ${i}`);
    await Promise.all(keys.map((key) => client.set(key, '1')));

    expect(new Set(await Promise.all(keys.map((key) => cluster.masterOf(key)))).size).toBe(3);
    expect(await cluster.commandStats()).toMatchObject({ set: 30 });

    await cluster.flush();
    expect(await Promise.all(keys.map((key) => client.get(key)))).toEqual(keys.map(() => null));
  });
});

describe.each(DEPLOYMENTS)('RedisDeployment (%s)', (kind) => {
  const KEYS = Array.from({ length: 30 }, (_, i) => `key ${i}`);
  let redis: RedisDeployment;

  beforeAll(async () => {
    redis = await RedisDeployment.start(kind);
  });

  afterEach(async () => {
    for (const close of closers.splice(0).reverse()) await close();
    await redis.refuseWrites(false);
    await redis.flush();
  });

  afterAll(() => redis.stop());

  const setAll = () => Promise.all(KEYS.map((key) => redis.client.set(key, '1')));

  it('has the keys of all masters, and removes them', async () => {
    await setAll();
    expect(await redis.keys()).toEqual([...KEYS].sort());

    await redis.flush();
    expect(await redis.keys()).toEqual([]);
  });

  it('refuses writes on every master, and reads on none, until told otherwise', async () => {
    await setAll();
    await redis.refuseWrites();
    const results = await Promise.allSettled(KEYS.map((key) => redis.client.set(key, '2')));
    expect(results.filter(({ status }) => status === 'fulfilled')).toEqual([]);
    expect(await Promise.all(KEYS.map((key) => redis.client.get(key)))).toEqual(KEYS.map(() => '1'));

    await redis.refuseWrites(false);
    await expect(setAll()).resolves.toBeDefined();
  });

  it('tells what all masters were asked, one after the other', async () => {
    const monitor = closing(await redis.monitor());
    const commands = await monitor.during(async () => {
      for (const key of KEYS) await redis.client.set(key, '1');
    });

    expect(commands).toEqual(KEYS.map((key) => ({ name: 'set', args: [key, '1'], inScript: false })));
  });

  it('has a line that holds up whatever goes to any master', async () => {
    const line = await redis.line();
    closers.push(() => line.close());
    const { url, cluster } = line.options;
    const client = cluster ? createCluster(cluster) : createClient({ url });
    closers.push(() => client.destroy());
    await client.on('error', () => undefined).connect();
    const time = async (key: string) => {
      const start = performance.now();
      await client.get(key);
      return performance.now() - start;
    };
    await Promise.all(KEYS.map(time));

    line.delay = 20;
    expect(Math.min(...(await Promise.all(KEYS.map(time))))).toBeGreaterThanOrEqual(39);
  });
});

(RedisTls.missing() === undefined ? describe : describe.skip)('RedisTls', () => {
  it('is trusted by those who know its authority and by nobody else', async () => {
    const redis = closing(await RedisTls.start());
    const ping = async (options: Parameters<typeof createClient>[0]) => {
      const client = createClient(options).on('error', () => undefined);
      closers.push(() => client.destroy());
      await client.connect();
      return client.ping();
    };
    const { url, socket } = redis.options;

    expect(await ping({ url, socket })).toBe('PONG');
    expect(await ping({ url: url.replace('127.0.0.1', 'localhost'), socket: { ...socket } })).toBe('PONG');
    await expect(ping({ url, socket: { tls: true, reconnectStrategy: false } })).rejects.toThrow('certificate');
  });
});

describe('createUser', () => {
  it('makes a user who may do what the rules say, and what is denied can be read', async () => {
    const server = closing(await RedisServer.start());
    const client = createClient({ url: await createUser(server, '~mine:* +get') }).on('error', () => undefined);
    closers.push(() => client.destroy());
    await client.connect();

    expect(await client.get('mine:1')).toBeNull();
    await expect(client.get('yours:1')).rejects.toThrow('NOPERM');
    await expect(client.set('mine:1', '1')).rejects.toThrow('NOPERM');
    expect(await denials(server)).toEqual(
      expect.arrayContaining([
        { username: 'app', reason: 'key', object: 'yours:1' },
        { username: 'app', reason: 'command', object: 'set' },
      ]),
    );
  });
});
