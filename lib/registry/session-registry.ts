import { Inject, Injectable } from '@nestjs/common';
import { type Clock, SESSION_CLOCK } from '../model/clock.js';
import { expiresAt } from '../model/lifetime.js';
import type { EndReason } from '../model/session-end.js';
import type { RevocationReason } from '../model/session-event.js';
import type { SessionInfo } from '../model/session-info.js';
import { sessionInfo, type SessionRecord } from '../model/session-record.js';
import type { UserOrId } from '../serializer/user-id.js';
import { UserSerializers } from '../serializer/user-serializers.js';
import { RegistryUnavailableException } from '../session-auth.errors.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import { SessionRepository } from '../session/session-repository.js';
import { findLatest, onLatest } from '../session/succession.js';
import type { SessionIndex } from '../store/session-store.js';

/**
 * How sessions are revoked.
 *
 * @example
 * ```ts
 * @Injectable()
 * class SupportDesk {
 *   constructor(private readonly registry: SessionRegistry) {}
 *
 *   reportStolen(user: User, handle: string): Promise<boolean> {
 *     const options: RevokeOptions = { by: 'admin' };
 *     return this.registry.revoke(user, handle, options);
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
 * All methods take the user, as the serializers take them, or the user's id: a string, a number or a bigint, which are
 * the same id where their texts are. With {@link UserSerializer.kind} an id is `kind:id`, as events and
 * {@link SessionInfo.userId} have it. An id without a kind, and anything that is no id, is a TypeError.
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
 *   list(@CurrentUser() user: User) {
 *     return this.registry.list(user);
 *   }
 *
 *   @Delete(':handle')
 *   @RequireFreshLogin('15m')
 *   async signOut(@CurrentUser() user: User, @Param('handle') handle: string) {
 *     return { ended: await this.registry.revoke(user, handle) };
 *   }
 * }
 * ```
 */
@Injectable()
export class SessionRegistry {
  /** @internal */
  constructor(
    @Inject(SessionRepository) private readonly repository: SessionRepository,
    @Inject(UserSerializers) private readonly serializers: UserSerializers,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
    @Inject(SESSION_CLOCK) private readonly clock: Clock,
  ) {}

  /** A user's live sessions, the last used first. For users with very many sessions use {@link pages}. */
  async list(user: UserOrId): Promise<SessionInfo[]> {
    const all: SessionInfo[] = [];
    for await (const page of this.pages(user)) {
      all.push(...page);
    }
    return all.sort((a, b) => b.seenAt.getTime() - a.seenAt.getTime());
  }

  /** A user's live sessions in pages of at most a hundred, roughly in the order in which they end. */
  async *pages(user: UserOrId): AsyncGenerator<SessionInfo[]> {
    const now = this.clock.now();
    const userId = this.serializers.idOf(user);
    for await (const records of this.repository.steps('list', this.#index.pages(userId))) {
      yield records.flatMap((record) => {
        const end = expiresAt(record, this.options.lifetime);
        return record.login?.userId === userId && now < end ? sessionInfo(record, record.login, end) : [];
      });
    }
  }

  /** The number of a user's live sessions. */
  async count(user: UserOrId): Promise<number> {
    return await this.repository.ask('count', this.#index.count(this.serializers.idOf(user)));
  }

  /** Ends one session of a user. Returns false when the user has none of this handle; another user's is left alone. */
  async revoke(user: UserOrId, handle: string, { by = 'user' }: RevokeOptions = {}): Promise<boolean> {
    const repository = this.repository.withTimeBudget();
    const found = await this.#sessionOf(user, handle, repository);
    return found !== undefined && (await onLatest(repository, found, (one) => repository.revoke(one, 'revoked', by)));
  }

  /** Ends all sessions of a user, or all `except` one ("sign out everywhere else"). Returns how many it ended. */
  revokeAll(user: UserOrId, { except, by = 'user' }: RevokeOptions & { except?: string } = {}): Promise<number> {
    return this.#endAll(user, 'revoked', by, except);
  }

  /**
   * Call it after the user's password or other credentials have changed. It ends the user's sessions (OWASP ASVS 7.4.3)
   * except the one to `keep`, usually the one that changed them, and returns how many it ended. Where the serializer
   * has a `credentialStamp()`, the kept session takes the new stamp over. A login that is pending is not found, so that
   * whoever began it with the old password could complete it: `credentialStamp()` ends it.
   */
  async credentialsChanged(user: UserOrId, { keep }: { keep?: string } = {}): Promise<number> {
    const repository = this.repository.withTimeBudget();
    const kept = keep === undefined ? undefined : await this.#sessionOf(user, keep, repository);
    if (kept !== undefined) {
      await onLatest(repository, kept, async (latest) => {
        const result = await repository.amend(latest, ({ login }) =>
          typeof login?.stamp === 'string' ? { login: { ...login, stamp: null } } : undefined,
        );
        return result.outcome !== 'ended';
      });
    }
    return this.#endAll(user, 'credentials_changed', 'credentials_changed', keep);
  }

  /** Call it after you have disabled a user. It ends all their sessions and returns how many that were. */
  userDisabled(user: UserOrId): Promise<number> {
    return this.#endAll(user, 'revoked', 'admin');
  }

  /**
   * Ends every session of every user and returns how many that were. It goes in steps, so that Redis serves others
   * meanwhile. Anonymous sessions stay.
   */
  async revokeEveryone(): Promise<number> {
    let ended = 0;
    for await (const handles of this.repository.steps('end', this.#index.endEveryone('revoked'))) {
      this.repository.reporter.revoked(undefined, handles, 'admin');
      ended += handles.length;
    }
    return ended;
  }

  async #sessionOf(user: UserOrId, handle: string, repository: SessionRepository): Promise<SessionRecord | undefined> {
    if (repository.index === undefined) {
      throw new RegistryUnavailableException();
    }
    const userId = this.serializers.idOf(user);
    const found = await findLatest(repository, handle);
    const isUsers = found !== undefined && found.record.login?.userId === userId && !repository.isExpired(found.record);
    return isUsers ? found.record : undefined;
  }

  async #endAll(user: UserOrId, ending: EndReason, reason: RevocationReason, except?: string): Promise<number> {
    let ended = 0;
    const userId = this.serializers.idOf(user);
    for await (const handles of this.repository.steps('end', this.#index.endAll(userId, ending, except))) {
      this.repository.reporter.revoked(userId, handles, reason);
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
