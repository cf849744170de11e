import { evictionWarning } from '../../lib/redis/eviction-policy.js';
import { TestApplication } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { LogRecorder } from '../support/log-recorder.js';
import { RedisServer } from '../support/redis-server.js';

it.each([
  ['0', 'allkeys-lru', false],
  ['100', 'noeviction', false],
  ['100', 'volatile-ttl', false],
  ['100', 'allkeys-lru', true],
  ['100', 'volatile-lru', true],
  ['100', 'allkeys-random', true],
])('a limit of %s bytes with the policy %s: worth a warning is %s', (limit, policy, expected) => {
  const info = `# Memory\r\nmaxmemory:${limit}\r\nmaxmemory_human:x\r\nmaxmemory_policy:${policy}\r\n`;

  expect(evictionWarning(info) !== undefined).toBe(expected);
});

it('an application that starts on a Redis that drops live sessions says so in its log', async () => {
  const redis = await RedisServer.start();
  const logger = new LogRecorder();
  const client = await redis.client();
  await client.configSet({ maxmemory: '100mb', 'maxmemory-policy': 'allkeys-lru' });

  const application = await TestApplication.start({ options: { redis: { url: redis.url } }, logger });

  await eventually('the warning', () => logger.at('warn').some((line) => line.includes('"allkeys-lru"')));
  await application.close();
  await redis.stop();
});
