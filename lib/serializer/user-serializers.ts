import { Inject, Injectable, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { SessionAuthConfigurationError, UserNotSerializableException } from '../session-auth.errors.js';
import type { SessionRequest } from '../http/session-request.js';
import { hashSecret } from '../model/session-id.js';
import { type ResolvedSessionAuthOptions, SESSION_AUTH_OPTIONS } from '../session-auth.options.js';
import type { RestoredUser, UserRestorer } from '../session/session-runtime.js';
import { UserSerializer } from './user-serializer.js';

/**
 * What the session keeps under `passport`: the payload, where Passport keeps it, and which of several serializers made
 * it.
 */
interface SerializedUser {
  readonly user: unknown;
  readonly serializer?: string;
}

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
  async serialize(user: unknown): Promise<{ userId: string; passport: SerializedUser; stamp: string | undefined }> {
    if (user === undefined || user === null) {
      throw new UserNotSerializableException('There is no user to log in.');
    }
    const serializer = this.serializers.find((one) => one.supports(user));
    if (serializer === undefined) {
      throw new UserNotSerializableException('No UserSerializer supports this user: see its method supports(user).');
    }
    const name = nameOf(serializer);
    const userId = serializer.userId(user);
    if (typeof userId !== 'string' || userId === '') {
      throw new UserNotSerializableException(
        `${name}.userId(user) gave no text. Users without an "id" need a userId() of their own.`,
      );
    }
    const payload = await serializer.serializeUser(user);
    if (payload === undefined || payload === null) {
      throw new UserNotSerializableException(`${name}.serializeUser(user) gave nothing to keep.`);
    }
    const isOnly = this.serializers.length === 1;
    const passport = { user: payload, ...(!isOnly && { serializer: name }) };
    return { userId, passport, stamp: stampOf(serializer, user) };
  }

  async restore(passport: unknown, request: SessionRequest): Promise<RestoredUser | undefined> {
    const { user, serializer: name } = passport as SerializedUser;
    // Of several serializers, a wrong guess could restore another user. Of one, the class may have been renamed.
    const isOnly = this.serializers.length === 1;
    const serializer = isOnly ? this.serializers[0] : this.serializers.find((one) => nameOf(one) === name);
    if (serializer === undefined) {
      throw unknownSerializer(name);
    }
    const restored = await serializer.deserializeUser(user, request);
    if (restored === undefined || restored === null || restored === false) {
      return undefined;
    }
    return { user: restored, userId: serializer.userId(restored), stamp: stampOf(serializer, restored) };
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

/** The serializers that choose their users, then the one that takes any user. */
function inOrder(found: readonly UserSerializer[]): readonly UserSerializer[] {
  if (found.length === 0) {
    throw new SessionAuthConfigurationError(
      'no_serializer',
      'SessionAuthModule found no UserSerializer. Add one to the providers of any module: ' +
        '@Injectable() class AppUserSerializer extends UserSerializer { serializeUser(user) {...} deserializeUser(payload) {...} }',
    );
  }
  const twice = found.find((one, index) => found.findIndex((other) => nameOf(other) === nameOf(one)) < index);
  if (twice !== undefined) {
    throw new SessionAuthConfigurationError(
      'no_serializer',
      `Two UserSerializers are named ${nameOf(twice)}, and a session remembers its own by name. Provide it in one module ` +
        'and export it from there, or rename one of the two.',
    );
  }
  const takesAny = (one: UserSerializer): boolean => one.supports === UserSerializer.prototype.supports;
  const [first, second] = found.filter(takesAny);
  if (first !== undefined && second !== undefined) {
    throw new SessionAuthConfigurationError(
      'no_serializer',
      `${nameOf(first)} and ${nameOf(second)} both take every user. Override supports(user) in all but one.`,
    );
  }
  return [...found.filter((one) => !takesAny(one)), ...found.filter(takesAny)];
}

/** The name by which a session remembers its serializer. */
function nameOf(serializer: UserSerializer): string {
  return serializer.constructor.name;
}

function unknownSerializer(name = '(the only one at that time)'): Error {
  return new Error(`No provider is the UserSerializer ${name} that made this session.`);
}

/** The hash of a user's credential stamp. The stamp itself may be part of a password's hash and is not stored. */
function stampOf(serializer: UserSerializer, user: unknown): string | undefined {
  return serializer.credentialStamp && hashSecret(serializer.credentialStamp(user));
}
