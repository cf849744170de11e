import type { EndReason } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';
import { EMPTY } from '../model/session-data.js';
import type { SessionIndex } from '../store/session-store.js';
import type { SessionTable } from './session-table.js';

/** The sessions of each user, in memory. */
export class MemorySessionIndex implements SessionIndex {
  constructor(private readonly table: SessionTable) {}

  count(userId: string): Promise<number> {
    return Promise.resolve(this.table.ofUser(userId).length);
  }

  async *pages(userId: string): AsyncGenerator<readonly SessionRecord[]> {
    const entries = this.table.ofUser(userId).sort((a, b) => a.expiresAt - b.expiresAt);
    yield await Promise.resolve(entries.map(({ record }) => ({ ...record, data: EMPTY })));
  }

  async *endAll(userId: string, reason: EndReason, except?: string): AsyncGenerator<readonly string[]> {
    this.table.endTrust(userId);
    const handles = this.table.ofUser(userId).map(({ record }) => record.handle);
    const kept = except && this.table.latest(except);
    yield await Promise.resolve(handles.filter((handle) => handle !== kept && this.table.end(handle, reason)));
  }

  async *endEveryone(reason: EndReason): AsyncGenerator<readonly string[]> {
    for (const userId of this.table.users()) {
      yield* this.endAll(userId, reason);
    }
  }
}
