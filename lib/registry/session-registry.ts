import { Inject, Injectable } from '@nestjs/common';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { expiresAt } from '../model/lifetime.js';
import type { EndReason } from '../model/session-end.js';
import type { RevocationReason } from '../model/session-event.js';
import type { SessionInfo } from '../model/session-info.js';
import { sessionInfo, type SessionRecord } from '../model/session-record.js';
import { textOfUserId } from '../serializer/user-id.js';
import { RegistryUnavailableException } from '../session-auth.errors.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { SessionRepository } from '../session/session-repository.js';
import { isLive, type SessionIndex } from '../store/session-store.js';

/**
 * How sessions are revoked.
 *
 * @example
 * ```ts
 * @Injectable()
 * class SupportDesk {
 *   constructor(private readonly registry: SessionRegistry) {}
 *
 *   reportStolen(userId: string, handle: string): Promise<boolean> {
 *     const options: RevokeOptions = { by: 'admin' };
 *     return this.registry.revoke(userId, handle, options);
 *   }
 * }
 * ```
 */
export interface RevokeOptions {
  /** Who ends it: its user on another device, or an administrator. It becomes the event's reason. Default: `'user'`. */
  by?: 'user' | 'admin';
}

/**
 * The sessions of each user: for a page "your devices", and to sign devices out. A revoked session is refused from the
 * next request on, in every process. What a request that is under way wants to store in it is dropped. For a day, the
 * browser that has its cookie is told the reason (`revoked`, `credentials_changed`).
 *
 * A `userId` is what `UserSerializer.userId()` returns. A number counts as its text, since nothing checks the type of
 * `@CurrentUser('id') userId: string`. Anything that is no id is a TypeError.
 *
 * All methods throw SessionStoreUnavailableException (503) when the store does not reply, and
 * RegistryUnavailableException (500) with the option `store`, whose contract knows no users.
 *
 * @example
 * ```ts
 * @Controller('devices')
 * @UseGuards(SessionGuard)
 * class DevicesController {
 *   constructor(private readonly registry: SessionRegistry) {}
 *
 *   @Get()
 *   list(@CurrentUser('id') userId: string) {
 *     return this.registry.list(userId);
 *   }
 *
 *   @Delete(':handle')
 *   @RequireFreshLogin('15m')
 *   async signOut(@CurrentUser('id') userId: string, @Param('handle') handle: string) {
 *     return { ended: await this.registry.revoke(userId, handle) };
 *   }
 * }
 * ```
 */
@Injectable()
export class SessionRegistry {
  /** @internal */
  constructor(
    @Inject(SessionRepository) private readonly repository: SessionRepository,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
    @Inject(SESSION_CLOCK) private readonly clock: Clock,
  ) {}

  /** A user's live sessions, the last used first. For users with very many sessions use {@link pages}. */
  async list(userId: string): Promise<SessionInfo[]> {
    const all: SessionInfo[] = [];
    for await (const page of this.pages(userId)) {
      all.push(...page);
    }
    return all.sort((a, b) => b.seenAt.getTime() - a.seenAt.getTime());
  }

  /** A user's live sessions in pages of at most a hundred, roughly in the order in which they end. */
  async *pages(userId: string): AsyncGenerator<SessionInfo[]> {
    const now = this.clock.now();
    const user = checkedId(userId);
    for await (const records of this.repository.steps('list', this.#index.pages(user))) {
      yield records.flatMap((record) => {
        const end = expiresAt(record, this.options.lifetime);
        return record.login?.userId === user && now < end ? sessionInfo(record, record.login, end) : [];
      });
    }
  }

  /** The number of a user's live sessions. */
  async count(userId: string): Promise<number> {
    return await this.repository.ask('count', this.#index.count(checkedId(userId)));
  }

  /** Ends one session of a user. Returns false when the user has none of this handle; another user's is left alone. */
  async revoke(userId: string, handle: string, { by = 'user' }: RevokeOptions = {}): Promise<boolean> {
    const repository = this.repository.withTimeBudget();
    const found = await this.#sessionOf(userId, handle, repository);
    return found !== undefined && (await repository.revoke(found, 'revoked', by));
  }

  /** Ends all sessions of a user, or all `except` one ("sign out everywhere else"). Returns how many it ended. */
  revokeAll(userId: string, { except, by = 'user' }: RevokeOptions & { except?: string } = {}): Promise<number> {
    return this.#endAll(userId, 'revoked', by, except);
  }

  /**
   * Call it after the user's password or other credentials have changed. It ends the user's sessions (OWASP ASVS 7.4.3)
   * except the one to `keep`, usually the one that changed them, and returns how many it ended. Where the serializer
   * has a `credentialStamp()`, the kept session takes the new stamp over.
   */
  async credentialsChanged(userId: string, { keep }: { keep?: string } = {}): Promise<number> {
    const repository = this.repository.withTimeBudget();
    const kept = keep === undefined ? undefined : await this.#sessionOf(userId, keep, repository);
    if (kept !== undefined) {
      await repository.amend(kept, ({ login }) =>
        typeof login?.stamp === 'string' ? { login: { ...login, stamp: null } } : undefined,
      );
    }
    return this.#endAll(userId, 'credentials_changed', 'credentials_changed', keep);
  }

  /** Call it after you have disabled a user. It ends all their sessions and returns how many that were. */
  userDisabled(userId: string): Promise<number> {
    return this.#endAll(userId, 'revoked', 'admin');
  }

  /**
   * Ends every session of every user and returns how many that were. It goes in steps, so that Redis serves others
   * meanwhile. Anonymous sessions stay.
   */
  async revokeEveryone(): Promise<number> {
    let ended = 0;
    for await (const handles of this.repository.steps('end', this.#index.endEveryone('revoked'))) {
      this.repository.reportRevoked(undefined, handles, 'admin');
      ended += handles.length;
    }
    return ended;
  }

  async #sessionOf(userId: string, handle: string, repository: SessionRepository): Promise<SessionRecord | undefined> {
    if (repository.index === undefined) {
      throw new RegistryUnavailableException();
    }
    const user = checkedId(userId);
    const found = await repository.find(handle);
    const isUsers = isLive(found) && found.record.login?.userId === user && !repository.isExpired(found.record);
    return isUsers ? found.record : undefined;
  }

  async #endAll(userId: string, ending: EndReason, reason: RevocationReason, except?: string): Promise<number> {
    let ended = 0;
    const user = checkedId(userId);
    for await (const handles of this.repository.steps('end', this.#index.endAll(user, ending, except))) {
      this.repository.reportRevoked(user, handles, reason);
      ended += handles.length;
    }
    return ended;
  }

  get #index(): SessionIndex {
    if (this.repository.index === undefined) {
      throw new RegistryUnavailableException();
    }
    return this.repository.index;
  }
}

/** @throws TypeError for what is no user's id. To end nobody's sessions silently would be worse. */
function checkedId(userId: string): string {
  const text = textOfUserId(userId);
  if (text === '') {
    throw new TypeError('SessionRegistry needs the id of a user, as UserSerializer.userId() returns it.');
  }
  return text;
}
