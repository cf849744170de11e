import type { SessionRecord } from '../session/session-record.js';
import type { EndReason, SessionIndex } from '../session/session-store.js';
import type { SessionTable } from './session-table.js';

/** The sessions of each user, in memory. */
export class MemorySessionIndex implements SessionIndex {
  constructor(private readonly table: SessionTable) {}

  count(userId: string): Promise<number> {
    return Promise.resolve(this.table.ofUser(userId).length);
  }

  async *pages(userId: string): AsyncGenerator<readonly SessionRecord[]> {
    const entries = this.table.ofUser(userId).sort((a, b) => a.expiry.at - b.expiry.at);
    yield await Promise.resolve(entries.map(({ record }) => ({ ...record, data: '{}' })));
  }

  async *endAll(userId: string, ending: EndReason, except?: string): AsyncGenerator<readonly string[]> {
    const handles = this.table.ofUser(userId).map(({ record }) => record.handle);
    yield await Promise.resolve(handles.filter((handle) => handle !== except && this.table.end(handle, ending)));
  }

  async *endEveryone(ending: EndReason): AsyncGenerator<readonly string[]> {
    for (const userId of this.table.users()) {
      yield* this.endAll(userId, ending);
    }
  }
}
