import type { SessionAuthOptions } from '../../lib/index.js';
import type { AtomicSessionStore } from '../../lib/store/session-store.js';
import type { RedisServer } from '../support/redis-server.js';
import type { LossWindow } from './history.js';
import type { Random } from './random.js';

/** Something that happens to Redis. */
export interface Trouble {
  readonly name: string;
  /**
   * Resolves when Redis is back: the application has five seconds from then on. What it resolves with brings back what is
   * still down; Redis serves meanwhile.
   */
  strike(random: Random): Promise<(() => Promise<void>) | undefined>;
}

/** Some way to run Redis, with what can go wrong there. */
export interface Stage {
  readonly redis: NonNullable<SessionAuthOptions['redis']>;
  /** Breaks the store on purpose. */
  readonly sabotage?: (store: AtomicSessionStore) => void;
  readonly troubles: readonly Trouble[];
  /** What Redis may have forgotten so far; `by` tells what was the matter between two times. */
  losses(by: (from: number, until: number) => string): LossWindow[];
  /** The servers at which nobody may be left when the application has ended. */
  readonly servers: readonly RedisServer[];
  stop(): Promise<void>;
}
