import type { SessionRequest } from '../http/session-request.js';
import { textOfUserId } from './user-id.js';

/**
 * Decides what of the user is kept in the session, and how the user is restored from it. Extend it, and add the class
 * to the providers of any module: it is found there.
 *
 * Several kinds of user log in by several serializers, which tell them apart by `supports`.
 *
 * @typeParam User the type of `@CurrentUser()`
 * @typeParam Payload what the session keeps of the user: anything that JSON carries
 *
 * @example
 * ```ts
 * @Injectable()
 * class AppUserSerializer extends UserSerializer<User, number> {
 *   constructor(private readonly users: UsersService) {
 *     super();
 *   }
 *
 *   serializeUser(user: User) {
 *     return user.id;
 *   }
 *
 *   deserializeUser(id: number) {
 *     return this.users.findById(id);
 *   }
 * }
 * ```
 */
export abstract class UserSerializer<User = unknown, Payload = unknown> {
  /** What the session keeps of this user. Called once, at the login. A rejection fails the login. */
  abstract serializeUser(user: User): Payload | Promise<Payload>;

  /**
   * The user of this payload. Called once for each request with a session.
   *
   * @returns `null` or `undefined` when the user does not exist any more: the session ends, and the request is
   * anonymous
   * @throws when the user cannot be looked up now: guarded routes respond 503, and the session is kept
   */
  abstract deserializeUser(
    payload: Payload,
    request: SessionRequest,
  ): User | null | undefined | Promise<User | null | undefined>;

  /**
   * The id by which the store knows the user: unique over all kinds of user, and never changing. Default:
   * `String(user.id)`.
   */
  userId(user: User): string {
    return textOfUserId((user as { id?: string | number | bigint | null }).id);
  }

  /** Whether this serializer is for this user. Default: `true`. */
  supports(user: unknown): boolean {
    return user !== undefined;
  }

  /**
   * A text that changes whenever the user's credentials do: the hash of the password, for example, or when it was set.
   * With this method, each request compares the restored user's stamp with that of the login. A session with another
   * stamp ends (reason `credentials_changed`), even one whose login was under way while the password changed. So do
   * sessions from before the method was added. It only helps where `deserializeUser` looks the user up. Only a hash of
   * the stamp is stored.
   */
  credentialStamp?(user: User): string;
}
