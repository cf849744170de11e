import { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import type { RedisCommands } from '../../lib/redis/redis-options.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { SECRET } from '../support/application.js';
import { TestClock } from '../support/test-clock.js';

/** A client that replies to all with its name, be it connected or not. */
const client = (name: string): RedisCommands => {
  const command = () => Promise.resolve(name);
  return { get: command, set: command, del: command, eval: command, evalSha: command };
};

describe("the store's client", () => {
  const [first, second] = [client('first'), client('second')];
  const link = { client: first };
  const { lifetime } = resolveOptions({ secret: SECRET }, 'test');
  const store = new RedisSessionStore({
    link,
    timeout: 1000,
    prefix: 'sess:',
    clock: new TestClock(),
    lifetime,
    onUnreadable: () => undefined,
  });

  it('is the one that the connection has now, after it was replaced, too', () => {
    expect(store.client).toBe(first);
    link.client = second;

    expect(store.client).toBe(second);
  });

  it('is a property of the store as connect-redis has it: seen by who lists them', () => {
    expect(Object.entries(store)).toContainEqual(['client', store.client]);
  });
});
