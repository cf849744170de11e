import { Inject, Injectable, type OnApplicationBootstrap } from '@nestjs/common';
import { type AbstractHttpAdapter, HttpAdapterHost, ModulesContainer } from '@nestjs/core';
import { GatewayHandshakes } from '../connections/gateway-handshakes.js';
import { isWebSocketServer, JoinedWebSocketServer } from '../connections/web-socket-server.js';
import { isFastify } from './fastify.js';
import { type Instance, internal } from './fastify-instance.js';

/* @nestjs/graphql and mercurius are optional, so what is used of them is described here. */

/** The class that every driver of `@nestjs/graphql` extends, and by which `GraphQLModule` provides its own. */
const DRIVER = 'AbstractGraphQLDriver';

/** Apollo's driver. */
interface Driver {
  /** It has a WebSocket server for each protocol that the application has chosen. */
  readonly _subscriptionService?: object;
}

/** Fastify as Mercurius' plugin has decorated it, and the part of it that `@fastify/websocket` has decorated. */
interface MercuriusInstance extends Instance {
  readonly graphql?: unknown;
  readonly websocketServer?: object;
}

/** Has the WebSocket servers of GraphQL subscriptions take part: those of Apollo and of Mercurius. */
@Injectable()
export class GraphQLSubscriptionsHook implements OnApplicationBootstrap {
  constructor(
    @Inject(ModulesContainer) private readonly modules: ModulesContainer,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    @Inject(GatewayHandshakes) private readonly handshakes: GatewayHandshakes,
  ) {}

  /** The drivers have started, and nobody can connect yet. */
  onApplicationBootstrap(): void {
    for (const server of new Set([...this.#ofApollo(), ...this.#ofMercurius()])) {
      if (isWebSocketServer(server)) {
        new JoinedWebSocketServer(server, undefined, this.handshakes);
      }
    }
  }

  #ofApollo(): unknown[] {
    const providers = [...this.modules.values()].flatMap((module) => [...module.providers]);
    const drivers = providers.filter(([token]) => typeof token === 'function' && token.name === DRIVER);
    return drivers.flatMap(([, { instance }]): unknown[] => {
      const { _subscriptionService: service } = instance as Driver;
      return Object.values(service ?? {});
    });
  }

  #ofMercurius(): unknown[] {
    // An application context, which serves nothing, has none.
    const adapter = this.host.httpAdapter as AbstractHttpAdapter | null | undefined;
    const instances = adapter && isFastify(adapter) ? withParts(adapter.getInstance()) : [];
    return instances.map(({ graphql, websocketServer }) => graphql && websocketServer);
  }
}

/** An instance of Fastify and those of its plugins. */
function withParts(instance: MercuriusInstance): MercuriusInstance[] {
  const parts = internal<MercuriusInstance[]>(instance, 'fastify.children') ?? [];
  return [instance, ...parts.flatMap(withParts)];
}
