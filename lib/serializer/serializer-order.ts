import { SessionAuthConfigurationError } from '../session-auth.errors.js';
import { UserSerializer } from './user-serializer.js';

/** A kind of user. A colon parts it from the id. */
const KIND = /^[\w-]+$/;

/**
 * The serializers that choose their users, then the one that takes any user.
 *
 * @throws SessionAuthConfigurationError where it would not be certain which of them a user or a session belongs to
 */
export function inOrder(found: readonly UserSerializer[]): readonly UserSerializer[] {
  if (found.length === 0) {
    throw refusal(
      'SessionAuthModule found no UserSerializer. Add one to the providers of any module: ' +
        '@Injectable() class AppUserSerializer extends UserSerializer { serializeUser(user) {...} deserializeUser(payload) {...} }. ' +
        'For sessions without logins, say so: serializers: [].',
    );
  }
  const twice = firstTwo(found, (one, other) => one.constructor === other.constructor && one.kind === other.kind);
  if (twice !== undefined) {
    throw refusal(`There are two of ${nameOf(twice[0])}. Provide it in one module and export it from there.`);
  }
  const [first, second] = found.filter(takesAny);
  if (first !== undefined && second !== undefined) {
    throw refusal(
      `${nameOf(first)} and ${nameOf(second)} both take every user. Override supports(user) in all but one.`,
    );
  }
  checkKinds(found);
  return [...found.filter((one) => !takesAny(one)), ...found.filter(takesAny)];
}

/** For messages to the developer alone: a minifier may change it. */
export function nameOf(serializer: UserSerializer): string {
  return serializer.constructor.name;
}

function checkKinds(found: readonly UserSerializer[]): void {
  for (const one of found) {
    const kind: unknown = one.kind;
    if (kind === undefined && found.length > 1) {
      throw refusal(
        `${nameOf(one)} has no kind, which each of several UserSerializers needs: sessions remember their user's kind. ` +
          "Give it a word that never changes: readonly kind = 'customer'.",
      );
    }
    if (kind !== undefined && !(typeof kind === 'string' && KIND.test(kind))) {
      throw refusal(`${nameOf(one)}.kind must be a word of letters, digits, "-" and "_".`);
    }
  }
  const same = firstTwo(found, (one, other) => one.kind === other.kind);
  if (same !== undefined) {
    throw refusal(
      `${nameOf(same[0])} and ${nameOf(same[1])} have the same kind, "${same[0].kind}". Their users would share ` +
        'sessions. Give each a kind of its own.',
    );
  }
}

/** Whether it takes the users that no other one does. */
export function takesAny(one: UserSerializer): boolean {
  return one.supports === UserSerializer.prototype.supports;
}

function firstTwo<T>(all: readonly T[], areAlike: (one: T, other: T) => boolean): [T, T] | undefined {
  const pairs = all.flatMap((one, index) => all.slice(index + 1).map((other): [T, T] => [one, other]));
  return pairs.find(([one, other]) => areAlike(one, other));
}

function refusal(message: string): SessionAuthConfigurationError {
  return new SessionAuthConfigurationError('no_serializer', message);
}
