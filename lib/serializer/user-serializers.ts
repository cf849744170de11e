import { Inject, Injectable, Logger, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { SessionAuthConfigurationError, UserNotSerializableException } from '../session-auth.errors.js';
import type { SessionRequest } from '../http/session-request.js';
import { hashSecret } from '../model/session-id.js';
import type { LoginRecord } from '../model/login-record.js';
import type { MissingUser } from '../model/session-event.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import type { RestoredUser, UserRestorer } from '../session/session-runtime.js';
import { hasHexString, textOfUserId, type UserOrId } from './user-id.js';
import { inOrder, nameOf, takesAny } from './serializer-order.js';
import { UserSerializer } from './user-serializer.js';

/** A user as a new session keeps them. */
interface SerializedUser {
  readonly userId: string;
  readonly kind: string | undefined;
  /** What `session.passport` becomes. */
  readonly passport: { readonly user: unknown };
  /** Hash of the credential stamp, where the serializer has one. */
  readonly stamp: string | undefined;
}

/** The application's {@link UserSerializer}s, found among its providers. */
@Injectable()
export class UserSerializers implements UserRestorer, OnModuleInit {
  private serializers: readonly UserSerializer[] = [];
  private isInitialised = false;
  private readonly logger = new Logger(UserSerializers.name);
  /** Which of several serializers has restored a user. */
  private readonly restoredBy = new WeakMap<object, UserSerializer>();
  /** The serializers whose first restored user has been looked at. */
  private readonly checked = new Set<UserSerializer>();
  /** The serializers that have restored a user without an id. */
  private readonly withoutId = new Set<UserSerializer>();

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
  ) {}

  async onModuleInit(): Promise<void> {
    const found = this.options.serializers
      ? await Promise.all(this.options.serializers.map((type) => this.instanceOf(type)))
      : this.discover();
    // An empty list in the options is meant: sessions without logins.
    this.serializers = this.options.serializers?.length === 0 ? [] : inOrder(found);
    this.isInitialised = true;
  }

  /** What the session keeps of this user, the user's id and kind, and the hash of their credential stamp. */
  async serialize(user: unknown): Promise<SerializedUser> {
    const serializer = this.serializerOf(user);
    const login = loginOf(serializer, user);
    const payload = await serializer.serializeUser(user);
    if (!isKept(payload)) {
      throw new UserNotSerializableException(
        `${nameOf(serializer)}.serializeUser(user) gave nothing that can be kept.`,
      );
    }
    return { ...login, passport: { user: payload } };
  }

  async restore(passport: unknown, login: LoginRecord, request: SessionRequest): Promise<RestoredUser | MissingUser> {
    const serializer = this.serializers.find(({ kind }) => kind === login.kind);
    if (serializer === undefined) {
      return this.withoutSerializer(login);
    }
    const user = await serializer.deserializeUser((passport as { user: unknown }).user, request);
    if (user === undefined || user === null || user === false) {
      return 'user_gone';
    }
    const userId = idByKind(serializer, user);
    if (userId === undefined) {
      this.reportMissingId(serializer);
    }
    // The payload is in the reach of the application's own code. Who logged in is not.
    if (userId !== login.userId) {
      return 'user_mismatch';
    }
    this.remember(user, serializer);
    return { user, stamp: stampOf(serializer, user) };
  }

  /**
   * The user of an old session, which remembers no kind. So every serializer is asked, and one may know the payload.
   * It is kept as it is: `serializeUser` is written for users who log in, who may have another form than restored ones.
   *
   * @throws Error where several do: equal ids of two kinds are two users, and nobody can tell whose session it is
   */
  async adopt(payload: unknown, request: SessionRequest): Promise<(SerializedUser & { user: unknown }) | undefined> {
    const found: [UserSerializer, unknown][] = [];
    for (const serializer of this.serializers) {
      const user = await serializer.deserializeUser(payload, request);
      if (user !== undefined && user !== null && user !== false) {
        found.push([serializer, user]);
      }
    }
    const [[serializer, user] = [], other] = found;
    if (serializer === undefined) {
      return undefined;
    }
    if (other !== undefined) {
      throw new Error(
        `${nameOf(serializer)} and ${nameOf(other[0])} both restore a user from the payload of an old session, so that ` +
          'nobody can tell whose it is. Let deserializeUser() of all but one return null for what is not theirs.',
      );
    }
    this.remember(user, serializer);
    return { ...loginOf(serializer, user), passport: { user: payload }, user };
  }

  isUserOf({ kind, userId }: LoginRecord, value: unknown): boolean {
    const serializer = this.serializers.find((one) => one.kind === kind);
    try {
      return serializer !== undefined && idByKind(serializer, value) === userId;
    } catch {
      return false; // userId() is written for users, and this is none.
    }
  }

  /**
   * The id of a user who is given as such or by their id, as sessions are stored by it.
   *
   * @throws TypeError for what is no id. To find nobody's sessions, or to end them, silently would be worse.
   */
  idOf(user: UserOrId): string {
    if (typeof user === 'object' && (user as unknown) !== null && !hasHexString(user)) {
      return this.idOfUser(user);
    }
    const id = textOfUserId(user);
    if (id === undefined) {
      throw new TypeError('SessionRegistry needs a user, or the id of one: a string, a number or a bigint.');
    }
    // Before the modules are initialised, no serializer is known.
    if (this.serializers.length > 0 && !this.serializers.some(({ kind }) => isOfKind(id, kind))) {
      const forms = this.serializers.map(({ kind }) => `"${kind}:<id>"`).join(' or ');
      throw new TypeError(`SessionRegistry needs a user, or the id of one with its kind: ${forms}.`);
    }
    return id;
  }

  private idOfUser(user: object): string {
    const id = idByKind(this.restoredBy.get(user) ?? this.serializerOf(user), user);
    if (id === undefined) {
      throw new TypeError('SessionRegistry was given an object that is no user: UserSerializer.userId() gave no id.');
    }
    return id;
  }

  /** @throws UserNotSerializableException unless it is certain which serializer the user belongs to */
  private serializerOf(user: unknown): UserSerializer {
    if (user === undefined || user === null) {
      throw new UserNotSerializableException('There is no user to log in.');
    }
    if (!this.isInitialised) {
      throw new SessionAuthConfigurationError(
        'not_initialised',
        'The application is not initialised, so that nobody can be logged in: await app.init() (or app.listen()) first.',
      );
    }
    if (this.serializers.length === 0) {
      throw new UserNotSerializableException(
        'Nobody can log in: the option "serializers" is [], for sessions without logins. Name your UserSerializer in it, ' +
          'or leave the option out.',
      );
    }
    const supporting = this.serializers.filter((one) => isSupported(one, user));
    const [first, second] = supporting;
    if (first === undefined) {
      throw new UserNotSerializableException('No UserSerializer supports this user: see its method supports(user).');
    }
    if (second !== undefined && !takesAny(second)) {
      throw new UserNotSerializableException(
        `${nameOf(first)} and ${nameOf(second)} both support this user. Only one of them may: see supports(user).`,
      );
    }
    return first;
  }

  /** A restored user belongs to the serializer that has restored it, whatever the others say. */
  private remember(user: unknown, serializer: UserSerializer): void {
    if (this.serializers.length === 1 || typeof user !== 'object' || user === null) {
      return;
    }
    this.restoredBy.set(user, serializer);
    if (this.checked.has(serializer)) {
      return;
    }
    this.checked.add(serializer);
    if (!serializer.supports(user)) {
      const name = nameOf(serializer);
      this.logger.error(
        `${name}.deserializeUser() returns users whom ${name}.supports(user) does not take: a copy of such a user ` +
          'would count as one of another kind. Let supports(user) take both those who log in and those restored.',
      );
    }
  }

  /** Once for each serializer. Typical of a payload that stands for the user, but has no `id` itself. */
  private reportMissingId(serializer: UserSerializer): void {
    if (this.withoutId.has(serializer)) {
      return;
    }
    this.withoutId.add(serializer);
    const name = nameOf(serializer);
    this.logger.error(
      `${name}.userId(user) gave an id at the login, and none for a user of ${name}.deserializeUser(): such sessions ` +
        'end with their first request. Return users with an "id" there, or write a userId() that knows both.',
    );
  }

  /** A kind of which this application knows nothing may be one of its next version. */
  private withoutSerializer({ kind }: LoginRecord): MissingUser {
    const hasKinds = this.serializers.some((one) => one.kind !== undefined);
    if (kind !== undefined && hasKinds) {
      throw new Error(`No UserSerializer of this application has the kind "${kind}".`);
    }
    return 'user_mismatch';
  }

  private discover(): UserSerializer[] {
    const wrappers = this.discovery
      .getProviders()
      .filter(({ metatype }) => typeof metatype === 'function' && metatype.prototype instanceof UserSerializer);
    const scoped = wrappers.find((wrapper) => wrapper.isTransient || !wrapper.isDependencyTreeStatic());
    if (scoped !== undefined) {
      throw new SessionAuthConfigurationError(
        'no_serializer',
        `${scoped.name} is request-scoped or transient (or depends on a provider that is), but users are restored ` +
          `before any such provider exists. Make it a singleton; deserializeUser() is given the request.`,
      );
    }
    const instances = this.discovery.getProviders().map((wrapper): unknown => wrapper.instance);
    return [...new Set(instances.filter((instance) => instance instanceof UserSerializer))];
  }

  /** The provider of this class, or a new instance when no module provides it. */
  private instanceOf(type: Type<UserSerializer>): Promise<UserSerializer> {
    const provider = this.discovery.getProviders().find((wrapper) => wrapper.metatype === type);
    return provider ? Promise.resolve(provider.instance as UserSerializer) : this.moduleRef.create(type);
  }
}

/** The user's id as sessions are stored by it, with the kind where there is one; `undefined` for what is no id. */
function idByKind(serializer: UserSerializer, user: unknown): string | undefined {
  const id = textOfUserId(serializer.userId(user));
  return id === undefined || serializer.kind === undefined ? id : `${serializer.kind}:${id}`;
}

/** @throws UserNotSerializableException for a user without an id */
function loginOf(serializer: UserSerializer, user: unknown): Omit<SerializedUser, 'passport'> {
  const userId = idByKind(serializer, user);
  if (userId === undefined) {
    throw new UserNotSerializableException(
      `${nameOf(serializer)}.userId(user) gave no id: that is a string that is not empty, a number, a bigint or an ` +
        'object with toHexString(). Users without an "id" need a userId() of their own.',
    );
  }
  return { userId, kind: serializer.kind, stamp: stampOf(serializer, user) };
}

/** @throws UserNotSerializableException where `supports` is asynchronous: a promise would stand for true */
function isSupported(serializer: UserSerializer, user: unknown): boolean {
  const supports: unknown = serializer.supports(user);
  if (typeof supports === 'object' && supports !== null && 'then' in supports) {
    throw new UserNotSerializableException(`${nameOf(serializer)}.supports(user) must not be asynchronous.`);
  }
  return Boolean(supports);
}

/** Whether JSON carries it. What cannot be written as JSON at all fails when the session is stored. */
function isKept(payload: unknown): boolean {
  try {
    return payload !== null && (JSON.stringify(payload) as string | undefined) !== undefined;
  } catch {
    return true;
  }
}

function isOfKind(userId: string, kind: string | undefined): boolean {
  return kind === undefined || (userId.startsWith(`${kind}:`) && userId.length > kind.length + 1);
}

/** The hash of a user's credential stamp. The stamp itself may be part of a password's hash and is not stored. */
function stampOf(serializer: UserSerializer, user: unknown): string | undefined {
  return serializer.credentialStamp && hashSecret(serializer.credentialStamp(user));
}
