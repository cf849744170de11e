import type { Clock } from '../model/clock.js';
import type { TrustEpochs } from '../store/session-store.js';
import type { SessionTable } from './session-table.js';

/** The users' trust epochs, in memory. */
export class MemoryTrustEpochs implements TrustEpochs {
  constructor(
    private readonly table: SessionTable,
    private readonly clock: Clock,
  ) {}

  find(userId: string): Promise<string | undefined> {
    return Promise.resolve(this.table.epochOf(userId));
  }

  grant(userId: string, fresh: string, lifetime: number): Promise<string> {
    return Promise.resolve(this.table.grantTrust(userId, fresh, this.clock.now() + lifetime));
  }
}
