import type { DynamicModule } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule } from '@nestjs/graphql';
import { MercuriusDriver, type MercuriusDriverConfig } from '@nestjs/mercurius';
import type { Platform } from './platforms.js';

/** A GraphQL server for applications, as `@nestjs/graphql` has it by default, with a schema from its resolvers. */
export interface GraphQLServer {
  name: string;
  platform: Platform;
  module(): DynamicModule;
  /** The same, with subscriptions over graphql-ws. */
  withSubscriptions(): DynamicModule;
  /** The response to an operation whose session could not be saved. */
  failedSave: { status: number; body: object };
}

const code = 'session_store_unavailable';

/** Nest's own response. */
const asByHttp = { status: 503, body: { statusCode: 503, code } };

/** Mercurius has an error handler of its own, which knows no statuses of Nest's exceptions. */
const asByMercurius = {
  status: 200,
  body: { data: null, errors: [{ extensions: { code: 'SERVICE_UNAVAILABLE', sessionAuth: code } }] },
};

const apolloWith = (options?: Partial<ApolloDriverConfig>) =>
  GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true, ...options });
const apollo = {
  module: () => apolloWith(),
  withSubscriptions: () => apolloWith({ subscriptions: { 'graphql-ws': true } }),
  failedSave: asByHttp,
};

const mercuriusWith = (options?: Partial<MercuriusDriverConfig>) =>
  GraphQLModule.forRoot<MercuriusDriverConfig>({ driver: MercuriusDriver, autoSchemaFile: true, ...options });
const mercurius = {
  module: () => mercuriusWith(),
  withSubscriptions: () => mercuriusWith({ subscription: true }),
  failedSave: asByMercurius,
};

export const graphqlServers: GraphQLServer[] = [
  { name: 'Apollo on Express', platform: 'express', ...apollo },
  { name: 'Apollo on Fastify', platform: 'fastify', ...apollo },
  { name: 'Mercurius on Fastify', platform: 'fastify', ...mercurius },
];
