import { type CanActivate, type ExecutionContext, Injectable, UseGuards } from '@nestjs/common';
import { Args, Context, GqlExecutionContext, Mutation, Query, Resolver } from '@nestjs/graphql';
import { PassportStrategy } from '@nestjs/passport';
import { Strategy as CustomStrategy } from 'passport-custom';
import { setImmediate as nextTurn } from 'node:timers/promises';
import {
  type Carrier,
  CurrentUser,
  LoginGuard,
  PendingLogin,
  SessionAuthService,
  SessionGuard,
  type SessionRequest,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import { sessionsIn } from '../support/devices.js';
import { graphqlServers } from '../support/graphql-drivers.js';

/** Takes the code "123456" of whoever is logging in. */
@Injectable()
class CodeStrategy extends PassportStrategy(CustomStrategy, 'code') {
  validate(request: SessionRequest & { body?: { code?: string } }): unknown {
    return request.body?.code === '123456' ? request.user : false;
  }
}

/** Watches `request.user`, step by step, while the login guards of the fields beside it run. */
@Injectable()
class WatchingGuard implements CanActivate {
  static readonly seen: unknown[] = [];
  static isOver = false;

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const { req } = GqlExecutionContext.create(context).getContext<{ req: SessionRequest }>();
    while (!WatchingGuard.isOver) {
      for (let step = 0; step < 100; step++) {
        await Promise.resolve();
        if (req.user) WatchingGuard.seen.push(req.user);
      }
      await nextTurn();
    }
    return true;
  }
}

@Resolver()
class StepsResolver {
  constructor(private readonly auth: SessionAuthService) {}

  @Query(() => String, { nullable: true })
  @UseGuards(LoginGuard('local', { method: 'password', pending: ['totp', 'sms'] }))
  begin(@CurrentUser() user: User | undefined, @Args('username') _name: string, @Args('password') _word: string) {
    WatchingGuard.isOver = true;
    return user?.name;
  }

  @Query(() => String, { nullable: true })
  @PendingLogin()
  @UseGuards(LoginGuard('code', { method: 'totp' }))
  code(@Context() { req }: { req: SessionRequest & { user?: User } }, @Args('code') _code: string) {
    WatchingGuard.isOver = true;
    return req.user?.name;
  }

  @Query(() => Boolean)
  @UseGuards(WatchingGuard)
  beside() {
    return true;
  }

  @Mutation(() => String)
  @PendingLogin()
  @UseGuards(SessionGuard)
  async complete(@Context() context: Carrier, @CurrentUser('name') name: string) {
    await this.auth.completeLogin(context, 'sms');
    return name;
  }

  @Query(() => String)
  @UseGuards(SessionGuard)
  me(@CurrentUser('name') name: string) {
    return name;
  }
}

interface Result {
  data: Record<string, unknown> | null;
  errors?: { extensions: Record<string, unknown> }[];
}

describe.each(graphqlServers)('a login in several steps by GraphQL, $name', ({ platform, module }) => {
  describe.each(['memory', 'redis'])('sessions in %s', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;

    beforeEach(async () => {
      application = await home.start({
        platform,
        imports: [module()],
        providers: [StepsResolver, WatchingGuard, SnapshotSerializer, LocalStrategy, CodeStrategy],
      });
      WatchingGuard.seen.length = 0;
    });

    it('shows no user to the fields beside its steps, and is complete with the last one', async () => {
      const browser = application.browser();
      const ask = async (query: string) => {
        WatchingGuard.isOver = false;
        return (await browser.post('/graphql', { json: { query } })).json<Result>();
      };
      const begun = await ask('{ beside begin(username: "ada", password: "lovelace") }');
      expect(begun).toEqual({ data: { beside: true, begin: null } });
      expect((await ask('{ me }')).errors?.[0]?.extensions).toMatchObject({
        code: 'UNAUTHENTICATED',
        sessionAuth: 'login_incomplete',
        pending: ['totp', 'sms'],
      });
      expect(await ask('{ beside code(code: "123456") }')).toEqual({ data: { beside: true, code: null } });
      expect(WatchingGuard.seen).toEqual([]);

      expect(await ask('mutation { complete }')).toEqual({ data: { complete: 'Ada' } });
      expect(await ask('{ me }')).toEqual({ data: { me: 'Ada' } });
    });
  });
});
