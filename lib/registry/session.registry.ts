import { Inject, Injectable } from '@nestjs/common';
import type { RevocationReason } from '../events/session-events.js';
import { expiresAt } from '../lifetime/lifetime.policy.js';
import { textOfUserId } from '../serializer/user-id.js';
import { RegistryUnavailableException } from '../session-auth.errors.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { SESSION_AUTH_OPTIONS } from '../session-auth.tokens.js';
import { CLOCK, type Clock } from '../session/clock.js';
import { SessionKeeper } from '../session/session-keeper.js';
import { sessionInfo, type SessionRecord } from '../session/session-record.js';
import type { EndReason, SessionIndex } from '../session/session-store.js';
import type { SessionInfo } from '../session/session.types.js';

/** Who wants a session ended: its user, on another device (the default), or an administrator. Events tell it on. */
export interface RevokeOptions {
  by?: 'user' | 'admin';
}

/**
 * The sessions of each user: what a page "your devices" shows, and how to sign devices out. A revoked session is refused
 * from the next request on, in every process; what a request under way wants to store of it is dropped. The holder of its
 * cookie is told the reason (`revoked`, `credentials_changed`) for a day.
 *
 * By `userId` is meant what `UserSerializer.userId()` gives. A number is taken for its text, as there: the type of
 * `@CurrentUser('id') userId: string` is checked by nobody. What is no id at all is a TypeError.
 *
 * All methods throw SessionStoreUnavailableException (503) when the store does not answer, and
 * RegistryUnavailableException (500) with the option `store`, whose contract knows no users.
 */
@Injectable()
export class SessionRegistry {
  constructor(
    @Inject(SessionKeeper) private readonly keeper: SessionKeeper,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** A user's live sessions, the last seen first. Of a user with very many, {@link pages} gives them piece by piece. */
  async list(userId: string): Promise<SessionInfo[]> {
    const all: SessionInfo[] = [];
    for await (const page of this.pages(userId)) {
      all.push(...page);
    }
    return all.sort((a, b) => b.seenAt.getTime() - a.seenAt.getTime());
  }

  /** A user's live sessions in pages of a hundred at the most, roughly those that end first before the others. */
  async *pages(userId: string): AsyncGenerator<SessionInfo[]> {
    const now = this.clock.now();
    const user = known(userId);
    for await (const records of this.keeper.steps('list', this.#index.pages(user))) {
      yield records.flatMap((record) => {
        const end = expiresAt(record, this.options.lifetime);
        return record.login?.userId === user && now < end ? sessionInfo(record, record.login, end) : [];
      });
    }
  }

  /** How many live sessions a user has. */
  async count(userId: string): Promise<number> {
    return await this.keeper.ask('count', this.#index.count(known(userId)));
  }

  /** Ends one session of a user. False when they have none of this handle: another user's is not theirs to end. */
  async revoke(userId: string, handle: string, { by = 'user' }: RevokeOptions = {}): Promise<boolean> {
    const keeper = this.keeper.withOneDeadline();
    const found = await this.#sessionOf(userId, handle, keeper);
    return found !== undefined && (await keeper.revoke(found, 'revoked', by));
  }

  /** Ends all sessions of a user, or all but one: "sign out everywhere else". Gives how many it ended. */
  revokeAll(userId: string, { except, by = 'user' }: RevokeOptions & { except?: string } = {}): Promise<number> {
    return this.#endAll(userId, 'revoked', by, except);
  }

  /**
   * The user's password or other credentials have changed: their sessions end (OWASP ASVS 7.4.3), but for the one to `keep`,
   * usually the one that changed them. Call it after the change. Where a serializer has a `credentialStamp()`, the kept
   * session takes the new one.
   */
  async credentialsChanged(userId: string, { keep }: { keep?: string } = {}): Promise<number> {
    const keeper = this.keeper.withOneDeadline();
    const kept = keep === undefined ? undefined : await this.#sessionOf(userId, keep, keeper);
    if (kept !== undefined) {
      await keeper.amend(kept, ({ login }) =>
        typeof login?.stamp === 'string' ? { login: { ...login, stamp: null } } : undefined,
      );
    }
    return this.#endAll(userId, 'credentials_changed', 'credentials-changed', keep);
  }

  /** The user may not log in any more (you see to that): all their sessions end. Gives how many. */
  userDisabled(userId: string): Promise<number> {
    return this.#endAll(userId, 'revoked', 'admin');
  }

  /** Ends every session of every user, in steps that let other work through. Anonymous sessions stay. Gives how many. */
  async revokeEveryone(): Promise<number> {
    let ended = 0;
    for await (const handles of this.keeper.steps('end', this.#index.endEveryone('revoked'))) {
      this.keeper.reportRevoked(undefined, handles, 'admin');
      ended += handles.length;
    }
    return ended;
  }

  async #sessionOf(userId: string, handle: string, keeper: SessionKeeper): Promise<SessionRecord | undefined> {
    if (keeper.index === undefined) {
      throw new RegistryUnavailableException();
    }
    const user = known(userId);
    const found = await keeper.find(handle);
    return found?.record.login?.userId === user ? found.record : undefined;
  }

  async #endAll(userId: string, ending: EndReason, reason: RevocationReason, except?: string): Promise<number> {
    let ended = 0;
    const user = known(userId);
    for await (const handles of this.keeper.steps('end', this.#index.endAll(user, ending, except))) {
      this.keeper.reportRevoked(user, handles, reason);
      ended += handles.length;
    }
    return ended;
  }

  get #index(): SessionIndex {
    if (this.keeper.index === undefined) {
      throw new RegistryUnavailableException();
    }
    return this.keeper.index;
  }
}

/** @throws TypeError for what no user goes by: to end nobody's sessions in silence is worse */
function known(userId: string): string {
  const text = textOfUserId(userId);
  if (text === '') {
    throw new TypeError('SessionRegistry needs the id of a user, as UserSerializer.userId() gives it.');
  }
  return text;
}
