import { AbstractGraphQLDriver, type GqlModuleOptions, GraphQLModule } from '@nestjs/graphql';
import { graphql } from 'graphql';
import type { SessionRequest, SessionResponse } from '../../lib/http/session-request.js';

/** Runs the operations that are posted to `/graphql`. Resolvers get `{ req, res }` as their context. */
class TestGraphQLDriver extends AbstractGraphQLDriver {
  start({ schema, path }: GqlModuleOptions & { path: string }): Promise<void> {
    const { httpAdapter } = this.httpAdapterHost;
    httpAdapter.post(path, (req: SessionRequest & { body: { query: string } }, res: SessionResponse) =>
      graphql({ schema: schema!, source: req.body.query, contextValue: { req, res } }).then((result) => {
        httpAdapter.reply(res, result, 200);
      }),
    );
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }
}

/** `@nestjs/graphql` with a schema from its resolvers' decorators. */
export const graphqlModule = () => GraphQLModule.forRoot({ driver: TestGraphQLDriver, autoSchemaFile: true });
