import type { EndedSession, Ending, EndReason } from '../model/session-end.js';
import type { SessionRecord } from '../model/session-record.js';
import type {
  AtomicSessionStore,
  FoundSession,
  LogInResult,
  NewUserSession,
  SessionIndex,
  TrustEpochs,
  UpdateResult,
} from '../store/session-store.js';
import type { TimeBudget } from '../store/time-budget.js';

/** What a store is asked to do. */
export type StoreOperation =
  'find' | 'insert' | 'log_in' | 'update' | 'touch' | 'end' | 'count' | 'list' | 'end_all' | 'trust';

/** Hears what a {@link MeasuredStore} does. */
export interface StoreWatch {
  /** @param error why it failed; `undefined` where it did not */
  onOperation(operation: StoreOperation, milliseconds: number, error?: unknown): void;
  /** A change met a newer version. It is merged with that, and tried again. */
  onConflict(): void;
}

/** Tells how long the operations of a store take, and does nothing else to them. */
export class MeasuredStore implements AtomicSessionStore {
  readonly index?: SessionIndex;
  readonly trust?: TrustEpochs;

  constructor(
    private readonly store: AtomicSessionStore,
    private readonly watch: StoreWatch,
  ) {
    const { index, trust } = store;
    if (index !== undefined) {
      this.index = new MeasuredIndex(index, watch);
    }
    if (trust !== undefined) {
      this.trust = new MeasuredTrust(trust, watch);
    }
  }

  get disconnected(): boolean {
    return this.store.disconnected === true;
  }

  find(handle: string, budget?: TimeBudget): Promise<FoundSession | EndedSession | undefined> {
    return measured(this.watch, 'find', () => this.store.find(handle, budget));
  }

  insert(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<void> {
    return measured(this.watch, 'insert', () => this.store.insert(record, expiresAt, budget));
  }

  logIn(session: NewUserSession, budget?: TimeBudget): Promise<LogInResult> {
    return this.#noticed(measured(this.watch, 'log_in', () => this.store.logIn(session, budget)));
  }

  update(record: SessionRecord, expiresAt: number, budget?: TimeBudget): Promise<UpdateResult> {
    return this.#noticed(measured(this.watch, 'update', () => this.store.update(record, expiresAt, budget)));
  }

  extend(
    record: SessionRecord,
    seenAt: number,
    expiresAt: number,
    budget?: TimeBudget,
  ): Promise<'ended' | 'current' | 'superseded'> {
    return measured(this.watch, 'touch', () => this.store.extend(record, seenAt, expiresAt, budget));
  }

  end(record: SessionRecord, ending: Ending, budget?: TimeBudget, shownHash?: string): Promise<boolean> {
    return measured(this.watch, 'end', () => this.store.end(record, ending, budget, shownHash));
  }

  async #noticed<Result extends { readonly outcome: string }>(work: Promise<Result>): Promise<Result> {
    const result = await work;
    if (result.outcome === 'stale') {
      this.watch.onConflict();
    }
    return result;
  }
}

class MeasuredIndex implements SessionIndex {
  constructor(
    private readonly index: SessionIndex,
    private readonly watch: StoreWatch,
  ) {}

  count(userId: string): Promise<number> {
    return measured(this.watch, 'count', () => this.index.count(userId));
  }

  pages(userId: string): AsyncIterable<readonly SessionRecord[]> {
    return measuredSteps(this.watch, 'list', this.index.pages(userId));
  }

  endAll(userId: string, reason: EndReason, except?: string): AsyncIterable<readonly string[]> {
    return measuredSteps(this.watch, 'end_all', this.index.endAll(userId, reason, except));
  }

  endEveryone(reason: EndReason): AsyncIterable<readonly string[]> {
    return measuredSteps(this.watch, 'end_all', this.index.endEveryone(reason));
  }
}

class MeasuredTrust implements TrustEpochs {
  constructor(
    private readonly trust: TrustEpochs,
    private readonly watch: StoreWatch,
  ) {}

  find(userId: string, budget?: TimeBudget): Promise<string | undefined> {
    return measured(this.watch, 'trust', () => this.trust.find(userId, budget));
  }

  grant(userId: string, fresh: string, lifetime: number, budget?: TimeBudget): Promise<string> {
    return measured(this.watch, 'trust', () => this.trust.grant(userId, fresh, lifetime, budget));
  }
}

async function measured<T>(watch: StoreWatch, operation: StoreOperation, work: () => Promise<T>): Promise<T> {
  const begun = performance.now();
  try {
    const result = await work();
    watch.onOperation(operation, performance.now() - begun);
    return result;
  } catch (error) {
    watch.onOperation(operation, performance.now() - begun, error);
    throw error;
  }
}

/** Each step counts for itself. */
async function* measuredSteps<T>(
  watch: StoreWatch,
  operation: StoreOperation,
  steps: AsyncIterable<T>,
): AsyncGenerator<T> {
  const iterator = steps[Symbol.asyncIterator]();
  for (;;) {
    const step = await measured(watch, operation, () => iterator.next());
    if (step.done === true) {
      return;
    }
    yield step.value;
  }
}
