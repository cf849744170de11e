import { UseGuards } from '@nestjs/common';
import { Args, Context, Field, InputType, Mutation, ObjectType, Query, Resolver } from '@nestjs/graphql';
import {
  type Carrier,
  CurrentSession,
  CurrentUser,
  LoginGuard,
  Public,
  RequireFreshLogin,
  SessionAuthService,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, sessionsIn } from '../support/devices.js';
import { graphqlServers } from '../support/graphql-drivers.js';
import { strategy } from '../support/guarded-by.js';

interface Result {
  data: Record<string, unknown> | null;
  errors?: { message: string; path: string[]; extensions: Record<string, unknown> }[];
}

@InputType()
class Credentials {
  @Field()
  username!: string;
  @Field()
  password!: string;
  @Field({ nullable: true })
  stay?: boolean;
}

@ObjectType()
class Person {
  @Field()
  id!: string;
  @Field()
  name!: string;
}

const stays = (_: unknown, request: SessionRequest & { body?: { stay?: boolean } }) =>
  request.body?.stay === true && '30d';

@Resolver()
class LoginResolver {
  constructor(private readonly auth: SessionAuthService) {}

  @Mutation(() => Person)
  @UseGuards(LoginGuard('local', { method: 'password', keep: ['cart'] }))
  byArguments(@CurrentUser() user: User, @Args('username') _name: string, @Args('password') _password: string) {
    return user;
  }

  @Mutation(() => Person)
  @UseGuards(LoginGuard('local', { remember: stays }))
  byInput(@CurrentUser() user: User, @Args('input') _input: Credentials) {
    return user;
  }

  @Mutation(() => Person, { nullable: true })
  @UseGuards(LoginGuard(['refuser']))
  refused(@CurrentUser() user: User) {
    return user;
  }

  @Mutation(() => Boolean)
  async logOut(@Context() context: Carrier) {
    await this.auth.logOut(context);
    return true;
  }

  @Mutation(() => Boolean)
  async proveAgain(@Context() context: Carrier) {
    await this.auth.reauthenticate(context, 'password');
    return true;
  }

  @Mutation(() => Person)
  async byService(@Context() context: Carrier) {
    await this.auth.logIn(context, { id: '2', name: 'Grace' });
    return { id: '2', name: 'Grace' };
  }
}

@Resolver()
@UseGuards(SessionGuard)
class AccountResolver {
  constructor(private readonly auth: SessionAuthService) {}

  @Query(() => String, { nullable: true })
  me(@CurrentUser('name') name: string) {
    return name;
  }

  @Query(() => String, { nullable: true })
  @Public()
  anybody(@CurrentUser('name') name: string | undefined) {
    return name;
  }

  @Query(() => String, { nullable: true })
  handle(@Context() context: Carrier) {
    return this.auth.current(context).handle;
  }

  @Query(() => Boolean)
  remembered(@Context() context: Carrier) {
    const { expiresAt, createdAt } = this.auth.current(context);
    return expiresAt.getTime() - createdAt.getTime() > 24 * 60 * 60 * 1000;
  }

  @Query(() => String, { nullable: true })
  @RequireFreshLogin('5m', { methods: ['password'], once: true })
  secret() {
    return 'told';
  }

  @Mutation(() => Boolean)
  @Public()
  fill(@CurrentSession() session: { cart?: string }, @Args('cart') cart: string) {
    session.cart = cart;
    return true;
  }

  @Query(() => String, { nullable: true })
  cart(@CurrentSession() session: { cart?: string }) {
    return session.cart;
  }
}

/** A user database that can be away. */
class Serializer extends SnapshotSerializer {
  static isAway = false;

  override deserializeUser(user: User) {
    if (Serializer.isAway) throw new Error('no database');
    return user;
  }
}

const refuser = strategy('refuser', function () {
  this.fail('not on Sundays', 403);
});
const providers = [Serializer, LocalStrategy, refuser, LoginResolver, AccountResolver];

const BY_ARGUMENTS = 'mutation { byArguments(username: "ada", password: "lovelace") { id name } }';

describe.each(graphqlServers)('over GraphQL by $name', ({ module, platform, failedSave }) => {
  const home = sessionsIn('redis');
  let application: TestApplication;
  let browser: Browser;

  beforeEach(async () => {
    application = await home.start({ platform, imports: [module()], providers });
    browser = application.browser();
  });

  const operate = async (query: string, by = browser): Promise<Result> =>
    (await by.post('/graphql', { json: { query } })).json<Result>();

  const refusal = async (query: string, by = browser) => {
    const { errors = [] } = await operate(query, by);
    expect(errors).toHaveLength(1);
    const { stacktrace: _, ...extensions } = errors[0]!.extensions;
    return { message: errors[0]!.message, extensions };
  };

  it('a user logs in by arguments, is seen by guards and decorators, and logs out', async () => {
    expect(await operate(BY_ARGUMENTS)).toEqual({ data: { byArguments: { id: '1', name: 'Ada' } } });
    expect(browser.cookies.has('sid')).toBe(true);
    expect(await operate('{ me anybody }')).toEqual({ data: { me: 'Ada', anybody: 'Ada' } });
    expect((await operate('mutation { logOut }')).data).toEqual({ logOut: true });
    expect(await operate('{ anybody }')).toEqual({ data: { anybody: null } });
    expect(browser.cookies.has('sid')).toBe(false);
  });

  it('a login by the fields of an argument "input" hands them to the functions of its options', async () => {
    await operate('mutation { byInput(input: { username: "ada", password: "lovelace" }) { name } }');
    expect((await operate('{ remembered }')).data).toEqual({ remembered: false });

    await operate('mutation { byInput(input: { username: "ada", password: "lovelace", stay: true }) { name } }');
    expect((await operate('{ remembered }')).data).toEqual({ remembered: true });
  });

  it('a login by variables and in a list of mutations is the one that the rest of the operation sees', async () => {
    const query = `mutation LogIn($input: Credentials!) {
      fill(cart: "tea")
      byArguments(username: "grace", password: "hopper") { name }
      byInput(input: $input) { name }
    }`;
    const variables = { input: { username: 'ada', password: 'lovelace' } };

    const response = await browser.post('/graphql', { json: { query, variables } });

    expect(response.json<Result>().data).toMatchObject({ byArguments: { name: 'Grace' }, byInput: { name: 'Ada' } });
    expect((await operate('{ me }')).data).toEqual({ me: 'Ada' });
  });

  it('a login keeps what it is told to, and opens a session under a new id', async () => {
    await operate('mutation { fill(cart: "tea") }');
    const before = browser.cookies.get('sid');

    await operate(BY_ARGUMENTS);

    expect((await operate('{ cart }')).data).toEqual({ cart: 'tea' });
    expect(browser.cookies.get('sid')).not.toBe(before);
  });

  it('SessionAuthService logs in, and tells of the session, by the context', async () => {
    expect((await operate('mutation { byService { name } }')).data).toEqual({ byService: { name: 'Grace' } });
    expect((await operate('{ me handle }')).data).toEqual({ me: 'Grace', handle: idOf(browser).handle });
  });

  it('a proof that is good once is used up by one field, and given again by a mutation', async () => {
    await operate(BY_ARGUMENTS);

    const { data, errors } = await operate('{ a: secret b: secret }');

    expect(Object.values(data!).sort()).toEqual([null, 'told']);
    expect(errors).toHaveLength(1);
    expect(await refusal('{ secret }')).toEqual({
      message: 'Prove again who you are.',
      extensions: {
        code: 'UNAUTHENTICATED',
        sessionAuth: 'fresh_login_required',
        maxAge: 300,
        methods: ['password'],
        once: true,
      },
    });
    expect((await operate('mutation { proveAgain }')).data).toEqual({ proveAgain: true });
    expect((await operate('{ secret }')).data).toEqual({ secret: 'told' });
  });

  it('errors say in their extensions what was refused and why', async () => {
    const UNAUTHENTICATED = { code: 'UNAUTHENTICATED', sessionAuth: 'unauthenticated' };
    expect((await refusal('{ me }')).extensions).toEqual(UNAUTHENTICATED);
    expect((await refusal('mutation { proveAgain }')).extensions).toEqual(UNAUTHENTICATED);
    expect(await refusal('mutation { byArguments(username: "ada", password: "x") { id } }')).toEqual({
      message: 'The login was refused.',
      extensions: { code: 'UNAUTHENTICATED', sessionAuth: 'login_failed' },
    });
    expect(await refusal('mutation { refused { id } }')).toEqual({
      message: 'not on Sundays',
      extensions: { code: 'FORBIDDEN', sessionAuth: 'login_failed' },
    });

    await operate(BY_ARGUMENTS);
    await application.app.get(SessionRegistry).revokeAll('1');

    expect(await refusal('{ me }')).toEqual({
      message: 'Your session was ended.',
      extensions: { ...UNAUTHENTICATED, reason: 'revoked' },
    });
  });

  it('errors say that it is the store or the user database that is away', async () => {
    await operate(BY_ARGUMENTS);
    Serializer.isAway = true;
    const lookup = await refusal('{ me }');
    Serializer.isAway = false;
    await home.refuseWrites();
    const login = await refusal(BY_ARGUMENTS);
    await home.refuseWrites(false);

    expect(lookup.extensions).toEqual({ code: 'SERVICE_UNAVAILABLE', sessionAuth: 'user_lookup_failed' });
    expect(login.extensions).toEqual({ code: 'SERVICE_UNAVAILABLE', sessionAuth: 'session_store_unavailable' });
    expect((await operate('{ me }')).data).toEqual({ me: 'Ada' });
  });

  it('an operation whose session cannot be saved tells of no success, and the session stays as it was', async () => {
    await operate('mutation { fill(cart: "tea") }');
    await home.refuseWrites();
    const response = await browser.post('/graphql', { json: { query: 'mutation { fill(cart: "coffee") }' } });
    await home.refuseWrites(false);

    expect(response.status).toBe(failedSave.status);
    expect(response.json()).toMatchObject(failedSave.body);
    expect(response.json()).not.toHaveProperty('data.fill');
    expect((await browser.get('/session')).json()).toEqual({ cart: 'tea' });
  });
});
