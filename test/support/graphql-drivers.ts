import type { DynamicModule } from '@nestjs/common';
import { ApolloDriver, type ApolloDriverConfig } from '@nestjs/apollo';
import { GraphQLModule } from '@nestjs/graphql';

/** A GraphQL server for applications, as `@nestjs/graphql` has it by default, with a schema from its resolvers. */
export interface GraphQLServer {
  name: string;
  module(): DynamicModule;
}

export const graphqlServers: GraphQLServer[] = [
  {
    name: 'Apollo on Express',
    module: () => GraphQLModule.forRoot<ApolloDriverConfig>({ driver: ApolloDriver, autoSchemaFile: true }),
  },
];
