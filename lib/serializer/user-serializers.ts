import { Inject, Injectable, type OnModuleInit, type Type } from '@nestjs/common';
import { DiscoveryService, ModuleRef } from '@nestjs/core';
import { SessionAuthConfigurationError, UserNotSerializableException } from '../session-auth.errors.js';
import { SESSION_AUTH_OPTIONS } from '../session-auth.tokens.js';
import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';
import { hashSecret } from '../session/session-id.js';
import type { RestoredUser, UserRestorer } from '../session/session.runtime.js';
import type { SessionRequest } from '../session/session.types.js';
import { UserSerializer } from './user.serializer.js';

/** What the session keeps under `passport`: the payload where Passport keeps it, and which serializer made it. */
interface SerializedUser {
  readonly user: unknown;
  readonly serializer: string;
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

  /** What the session is to keep of this user, and by what the store knows them. */
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
    return { userId, passport: { user: payload, serializer: name }, stamp: stampOf(serializer, user) };
  }

  async restore(passport: unknown, userId: string, request: SessionRequest): Promise<RestoredUser | undefined> {
    const { user, serializer: name } = passport as SerializedUser;
    const maker = this.serializers.find((one) => nameOf(one) === name);
    // With one kind of user the class may be renamed; with several, a wrong guess would be another user.
    const serializer = maker ?? (this.serializers.length === 1 ? this.serializers[0] : undefined);
    if (serializer === undefined) {
      throw unknown(name);
    }
    const restored = await serializer.deserializeUser(user, request);
    if (restored === undefined || restored === null || restored === false) {
      return undefined;
    }
    // Not renamed, but of a kind of user that is no more: its payload means somebody else to the one that is left.
    if (maker === undefined && serializer.userId(restored) !== userId) {
      throw unknown(name);
    }
    return { user: restored, stamp: stampOf(serializer, restored) };
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

  /** The provider of this class; made here when it is named in the options but a provider nowhere. */
  private instanceOf(type: Type<UserSerializer>): Promise<UserSerializer> {
    const provider = this.discovery.getProviders().find((wrapper) => wrapper.metatype === type);
    return provider ? Promise.resolve(provider.instance as UserSerializer) : this.moduleRef.create(type);
  }
}

/** Those that choose their users first, the one that takes any user last. */
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

/** What a session remembers a serializer by. */
function nameOf(serializer: UserSerializer): string {
  return serializer.constructor.name;
}

function unknown(name: string): Error {
  return new Error(`No provider is the UserSerializer "${name}" that this session was made by.`);
}

/** A hash, for a stamp may be something that is not to stand in a session: a piece of the password's hash, say. */
function stampOf(serializer: UserSerializer, user: unknown): string | undefined {
  return serializer.credentialStamp && hashSecret(serializer.credentialStamp(user));
}
