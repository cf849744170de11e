import type { SessionRequest } from '../session/session.types.js';
import { textOfUserId } from './user-id.js';

/**
 * Decides what of the user is kept in the session, and how the user is restored from it. Make your own an injectable
 * provider; it is found wherever it stands.
 *
 * ```ts
 * @Injectable()
 * export class AppUserSerializer extends UserSerializer<User, number> {
 *   constructor(private readonly users: UsersService) { super(); }
 *   serializeUser(user: User) { return user.id; }
 *   deserializeUser(id: number) { return this.users.findById(id); }
 * }
 * ```
 *
 * Several kinds of user log in by several serializers that tell them apart by `supports`.
 *
 * @typeParam User what `@CurrentUser()` gives
 * @typeParam Payload what the session keeps of it: anything JSON carries
 */
export abstract class UserSerializer<User = unknown, Payload = unknown> {
  /** What the session keeps of this user. Called once, at login; a rejection fails the login. */
  abstract serializeUser(user: User): Payload | Promise<Payload>;

  /**
   * The user of this payload. Called once per request with a session.
   *
   * @returns `null` (or `undefined`) when the user is gone: the session ends and the request goes on as anybody's
   * @throws when the user cannot be looked up just now: guarded routes answer 503 and the session is kept
   */
  abstract deserializeUser(
    payload: Payload,
    request: SessionRequest,
  ): User | null | undefined | Promise<User | null | undefined>;

  /** By what the user is known in the store: unique over all kinds of user, and never changing. Default `String(user.id)`. */
  userId(user: User): string {
    return textOfUserId((user as { id?: string | number | bigint | null }).id);
  }

  /** Whether this serializer is for this user. Default `true`. */
  supports(user: unknown): boolean {
    return user !== undefined;
  }

  /**
   * Changes whenever the user's credentials do: the hash of the password, say, or when it was set. Where a serializer has
   * this method, each request compares the restored user's stamp with the login's, and a session of an older one ends
   * (reason `credentials_changed`) - also one whose login was under way while the password changed. Sessions from before
   * the method was there end too. Of use only where `deserializeUser` looks the user up. Only its hash is stored.
   */
  credentialStamp?(user: User): string;
}
