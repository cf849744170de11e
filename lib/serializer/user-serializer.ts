import type { SessionRequest } from '../http/session-request.js';
import type { UserId } from './user-id.js';

/**
 * Decides what of the user is kept in the session, and how the user is restored from it. Extend it, and add the class
 * to the providers of any module: it is found there.
 *
 * Several kinds of user log in by several serializers, which tell them apart by `supports`. Each needs a {@link kind}.
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
 *
 * // Where administrators log in, too, who have ids of their own. (AppUserSerializer needs a kind then, as well.)
 * @Injectable()
 * class AdminSerializer extends UserSerializer<Admin, number> {
 *   override readonly kind = 'admin';
 *
 *   constructor(private readonly admins: AdminsService) {
 *     super();
 *   }
 *
 *   override supports(user: unknown) {
 *     return user instanceof Admin;
 *   }
 *
 *   serializeUser(admin: Admin) {
 *     return admin.id;
 *   }
 *
 *   deserializeUser(id: number) {
 *     return this.admins.findById(id);
 *   }
 * }
 * ```
 */
export abstract class UserSerializer<User = unknown, Payload = unknown> {
  /**
   * A word for this kind of user, of ASCII letters, digits, `-` and `_`. Required where there are several serializers,
   * and never to be changed: sessions remember it. The id of a user is `kind:id` then, in events, in
   * `SessionInfo.userId`, and where `SessionRegistry` takes an id. So equal ids of two kinds are two users. Default:
   * none.
   */
  declare readonly kind?: string;

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
   * The user's id: unique among the users of this serializer, and never changing. A string, a number, a bigint, or an
   * object with `toHexString()` (ObjectId). Sessions are stored, counted and revoked by it. Each request compares the
   * restored user's id with that of the login. If they differ, the session ends (event `ended`, reason
   * `user_mismatch`). Default: `user.id`.
   */
  userId(user: User): UserId {
    return (user as { id: UserId }).id;
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
