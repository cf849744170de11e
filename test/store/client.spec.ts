import { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import type { RedisCommands } from '../../lib/redis/redis-options.js';
import { newUserSessionId } from '../../lib/model/session-id.js';
import { recordOfLogin } from '../../lib/model/session-record.js';
import { TimeBudget } from '../../lib/store/time-budget.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { SECRET } from '../support/application.js';
import { TestClock } from '../support/test-clock.js';

const TIMEOUT = 60_000;

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
    timeout: TIMEOUT,
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

  it('is told to log a user in by when the request stops waiting, and not by when another one would', async () => {
    const now = Date.now();
    const deadlines: number[] = [];
    const evalSha = (_: string, { arguments: args }: { arguments: string[] }) => {
      deadlines.push(Number(args[5]));
      return Promise.resolve(['created', 0, now]);
    };
    link.client = { ...first, evalSha };
    const id = newUserSessionId('ada');
    const record = recordOfLogin(id, { login: { userId: 'ada' }, data: {}, remember: undefined }, now);
    const session = { record, expiresAt: now + 60_000 };
    await store.logIn(session);
    await store.logIn(session, Object.assign(new TimeBudget(), { start: () => 100 }));

    const [unknown, limited = NaN] = deadlines;
    expect(unknown).toBe(0);
    expect(limited - now).toBeLessThan(TIMEOUT / 2);
  });

  it('is a property of the store as connect-redis has it: seen by who lists them', () => {
    expect(Object.entries(store)).toContainEqual(['client', store.client]);
  });
});
