/**
 * An id as databases have them. A number or a bigint counts as its text, and an ObjectId as its hexadecimal text.
 *
 * @example
 * ```ts
 * abstract class NameSerializer extends UserSerializer<User, string> {
 *   override userId({ name }: User): UserId {
 *     return name;
 *   }
 * }
 * ```
 */
export type UserId = string | number | bigint | { toHexString(): string };

/**
 * A user as the serializers take them, or the id of one: with the kind, where the serializer has one.
 *
 * @example
 * ```ts
 * function signOutEverywhere(registry: SessionRegistry, user: UserOrId): Promise<number> {
 *   return registry.revokeAll(user, { by: 'admin' });
 * }
 * ```
 */
export type UserOrId = object | string | number | bigint;

const HALF_PAIR = /\p{Surrogate}/u;

/**
 * The text of a user's id; `undefined` for what is no id. Only the types of {@link UserId} are, since the text of
 * anything else may be that of another user, too: of a Buffer, a Map, an array, `NaN`, a whole number past 2^53, a
 * string with half a surrogate pair (which UTF-8 cannot tell from another).
 */
export function textOfUserId(id: unknown): string | undefined {
  switch (typeof id) {
    case 'string':
      return id !== '' && !HALF_PAIR.test(id) ? id : undefined;
    case 'number':
      return Math.abs(id) <= Number.MAX_SAFE_INTEGER ? String(id) : undefined;
    case 'bigint':
      return String(id);
    default:
      return hasHexString(id) ? textOfHex(id.toHexString()) : undefined;
  }
}

/** Whether a value is an id that is an object, such as MongoDB's ObjectId. */
export function hasHexString(value: unknown): value is { toHexString(): unknown } {
  return (
    typeof value === 'object' && value !== null && 'toHexString' in value && typeof value.toHexString === 'function'
  );
}

function textOfHex(text: unknown): string | undefined {
  return typeof text === 'string' ? textOfUserId(text) : undefined;
}
