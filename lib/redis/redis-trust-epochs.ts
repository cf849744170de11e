import { tagOfUser } from '../model/session-id.js';
import type { TrustEpochs } from '../store/session-store.js';
import type { TimeBudget } from '../store/time-budget.js';
import { trustKey } from './keys.js';
import type { RedisAccess } from './redis-access.js';
import { GRANT_TRUST } from './scripts.js';

/** The users' trust epochs: one key beside the sessions of each user who trusts a browser. */
export class RedisTrustEpochs implements TrustEpochs {
  constructor(
    private readonly redis: RedisAccess,
    private readonly prefix: string,
  ) {}

  async find(userId: string, budget?: TimeBudget): Promise<string | undefined> {
    const epoch: unknown = await this.redis.command((client) => client.get(this.#key(userId)), budget);
    return typeof epoch === 'string' ? epoch : undefined;
  }

  async grant(userId: string, fresh: string, lifetime: number, budget?: TimeBudget): Promise<string> {
    const args = { fresh, ttl: Math.ceil(lifetime) };
    return (await this.redis.script(GRANT_TRUST, { trust: this.#key(userId) }, args, { budget })) as string;
  }

  #key(userId: string): string {
    return trustKey(this.prefix, tagOfUser(userId));
  }
}
