import { Inject, Injectable, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { SessionAuthConfigurationError, UserNotSerializableException } from '../session-auth.errors.js';
import type { SessionRequest } from '../http/session-request.js';
import { hashSecret } from '../model/session-id.js';
import type { MissingUser } from '../model/session-event.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import type { RestoredUser, UserRestorer } from '../session/session-runtime.js';
import { hasHexString, textOfUserId, type UserOrId } from './user-id.js';
import { inOrder, nameOf } from './serializer-order.js';
import { UserSerializer } from './user-serializer.js';

/** The application's {@link UserSerializer}s, found among its providers. */
@Injectable()
export class UserSerializers implements UserRestorer, OnModuleInit {
  private serializers: readonly UserSerializer[] = [];

  constructor(
    @Inject(DiscoveryService) private readonly discovery: DiscoveryService,
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(SESSION_AUTH_OPTIONS) private readonly options: ResolvedSessionAuthOptions,
  ) {}

  async onModuleInit(): Promise<void> {
    const found = this.options.serializers
      ? await Promise.all(this.options.serializers.map((type) => this.instanceOf(type)))
      : this.discover();
    this.serializers = inOrder(found);
  }

  /** What the session keeps of this user, the user's id, and the hash of their credential stamp. */
  async serialize(user: unknown): Promise<{ userId: string; passport: { user: unknown }; stamp: string | undefined }> {
    const serializer = this.serializerOf(user);
    const userId = idByKind(serializer, user);
    if (userId === undefined) {
      throw new UserNotSerializableException(
        `${nameOf(serializer)}.userId(user) gave no id: that is a string that is not empty, a number, a bigint or an ` +
          'object with toHexString(). Users without an "id" need a userId() of their own.',
      );
    }
    const payload = await serializer.serializeUser(user);
    if (payload === undefined || payload === null) {
      throw new UserNotSerializableException(`${nameOf(serializer)}.serializeUser(user) gave nothing to keep.`);
    }
    return { userId, passport: { user: payload }, stamp: stampOf(serializer, user) };
  }

  async restore(passport: unknown, userId: string, request: SessionRequest): Promise<RestoredUser | MissingUser> {
    const serializer = this.serializers.find((one) => isOfKind(userId, one.kind));
    if (serializer === undefined) {
      return this.withoutSerializer(userId);
    }
    const user = await serializer.deserializeUser((passport as { user: unknown }).user, request);
    if (user === undefined || user === null || user === false) {
      return 'user_gone';
    }
    // The payload is in the reach of the application's own code. Who logged in is not.
    return idByKind(serializer, user) === userId ? { user, stamp: stampOf(serializer, user) } : 'user_mismatch';
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
    const id = idByKind(this.serializerOf(user), user);
    if (id === undefined) {
      throw new TypeError('SessionRegistry was given an object that is no user: UserSerializer.userId() gave no id.');
    }
    return id;
  }

  private serializerOf(user: unknown): UserSerializer {
    if (user === undefined || user === null) {
      throw new UserNotSerializableException('There is no user to log in.');
    }
    const serializer = this.serializers.find((one) => one.supports(user));
    if (serializer === undefined) {
      throw new UserNotSerializableException('No UserSerializer supports this user: see its method supports(user).');
    }
    return serializer;
  }

  /** An id with a kind may be one that a newer version of the application knows. One without is of none of ours. */
  private withoutSerializer(userId: string): MissingUser {
    const [kind, ...rest] = userId.split(':');
    if (rest.length > 0) {
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

function isOfKind(userId: string, kind: string | undefined): boolean {
  return kind === undefined || (userId.startsWith(`${kind}:`) && userId.length > kind.length + 1);
}

/** The hash of a user's credential stamp. The stamp itself may be part of a password's hash and is not stored. */
function stampOf(serializer: UserSerializer, user: unknown): string | undefined {
  return serializer.credentialStamp && hashSecret(serializer.credentialStamp(user));
}
