import { type HttpException, Inject, Injectable, Logger, type Type } from '@nestjs/common';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import { ApplicationConfig, ModulesContainer } from '@nestjs/core';
import { ExecutionContextHost } from '@nestjs/core/helpers/execution-context-host.js';
import { FreshLoginGuard } from '../access/fresh-login.guard.js';
import { isSessionGuard, SessionGuard } from '../access/session.guard.js';

/* @nestjs/websockets is an optional peer. These are its names for what its decorators write down. */
const GATEWAY_METADATA = 'websockets:is_gateway';
const GATEWAY_OPTIONS = 'websockets:gateway_options';
const PORT_METADATA = 'port';

/** Where gateways are served: those of one port and path share a server, and those of one namespace a part of it. */
export interface GatewayAddress {
  readonly port: number;
  readonly path: string | undefined;
  readonly namespace: string;
}

/** What a client is told that is not let in. */
export interface ConnectionRefusal {
  readonly statusCode?: number;
  readonly code?: string;
  readonly message?: string;
  readonly reason?: string;
}

interface Gateway {
  readonly metatype: Type;
  readonly guards: readonly SessionGuard[];
}

const FAILED: ConnectionRefusal = { statusCode: 500, message: 'Internal server error' };

/** A connection is no message. It is the handler of guards where the gateway has no `handleConnection()`. */
function onConnection(): void {
  // It is never called.
}

/**
 * The session guards of gateways as classes, the global ones included. Nest asks them before each message. They are asked
 * here before the client is connected, and so before it hears anything.
 */
@Injectable()
export class GatewayGuards {
  readonly #logger = new Logger('SessionConnections');

  constructor(
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(ApplicationConfig) private readonly config: ApplicationConfig,
  ) {}

  /**
   * Why a client is not let in: none of the gateways there takes it. `undefined` where one does, or there is none.
   *
   * @param client leads to the request
   */
  async whyRefused(address: GatewayAddress, client: object): Promise<ConnectionRefusal | undefined> {
    let refusal: ConnectionRefusal | undefined;
    for (const gateway of this.#gatewaysAt(address)) {
      const own = await this.#refusalOf(gateway, client);
      if (own === undefined) {
        return undefined;
      }
      refusal ??= own;
    }
    return refusal;
  }

  async #refusalOf({ metatype, guards }: Gateway, client: object): Promise<ConnectionRefusal | undefined> {
    const { handleConnection = onConnection } = metatype.prototype as { handleConnection?: () => unknown };
    const context = new ExecutionContextHost([client, undefined, 'connection'], metatype, handleConnection);
    context.setType('ws');
    try {
      for (const guard of guards) {
        // A login need not be fresh for listening: that is asked of the messages.
        const canActivate =
          guard instanceof FreshLoginGuard
            ? SessionGuard.prototype.canActivate.call(guard, context)
            : guard.canActivate(context);
        if (!(await canActivate)) {
          return { statusCode: 403, message: 'Forbidden resource' };
        }
      }
      return undefined;
    } catch (error) {
      return this.#bodyOf(error);
    }
  }

  /** What Nest would send of this error: of a `WsException` its object, of an `HttpException` its body. */
  #bodyOf(error: unknown): ConnectionRefusal {
    const { getError, getResponse } = (error ?? {}) as { getError?: () => unknown } & Partial<HttpException>;
    const body = getError?.call(error) ?? getResponse?.call(error) ?? undefined;
    if (body === undefined) {
      this.#logger.error('A guard failed, so a client was not connected.', error);
      return FAILED;
    }
    return typeof body === 'object' ? body : { message: body as string };
  }

  #gatewaysAt(address: GatewayAddress): Gateway[] {
    return [...this.modules.values()].flatMap((module) =>
      [...module.providers.values()].flatMap(({ metatype }) => {
        if (typeof metatype !== 'function' || !isAt(metatype, address)) {
          return [];
        }
        const own = [Reflect.getMetadata(GUARDS_METADATA, metatype) ?? []].flat() as unknown[];
        const instances = own.map((guard) => module.injectables.get(guard as Type)?.instance ?? guard);
        const guards = [...this.config.getGlobalGuards(), ...instances].filter(isInstance);
        return [{ metatype: metatype as Type, guards }];
      }),
    );
  }
}

/** Whether this is a session guard that is there already: one of each request cannot be asked about a connection. */
function isInstance(guard: unknown): guard is SessionGuard {
  return typeof guard === 'object' && isSessionGuard(guard);
}

function isAt(metatype: object, { port, path, namespace }: GatewayAddress): boolean {
  if (Reflect.getOwnMetadata(GATEWAY_METADATA, metatype) !== true) {
    return false;
  }
  const own = (Reflect.getMetadata(GATEWAY_OPTIONS, metatype) ?? {}) as { path?: string; namespace?: string | RegExp };
  const ownPort = (Reflect.getMetadata(PORT_METADATA, metatype) as number | undefined) ?? 0;
  return ownPort === port && own.path === path && isIn(own.namespace ?? '/', namespace);
}

function isIn(own: string | RegExp, namespace: string): boolean {
  // Not test(): with a pattern that has /g, that goes on where it was.
  return typeof own === 'string' ? `/${own.replace(/^\//, '')}` === namespace : namespace.search(own) !== -1;
}
