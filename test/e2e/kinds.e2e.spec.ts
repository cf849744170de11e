import { Body, Controller, Delete, Get, HttpCode, Injectable, Post, Req, type Type, UseGuards } from '@nestjs/common';
import {
  CurrentSession,
  CurrentUser,
  type LogInOptions,
  type MaxSessionsOptions,
  SessionAuthService,
  SessionGuard,
  type SessionInfo,
  SessionRegistry,
  type SessionRequest,
  UserSerializer,
} from '../../lib/index.js';
import { LogRecorder } from '../support/log-recorder.js';
import { LocalStrategy, TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, responseTo, cookieOf, sessionsIn } from '../support/devices.js';
import { describePlatforms, storesOn } from '../support/platforms.js';

class Person {
  constructor(
    readonly id: number,
    readonly name = `${new.target.name} ${id}`,
  ) {}
}
class Customer extends Person {}
class Admin extends Person {}

/** Keeps the id alone. */
abstract class PersonSerializer extends UserSerializer<Person, number> {
  protected abstract readonly type: typeof Person;

  override supports(user: unknown): boolean {
    return user instanceof this.type;
  }
  serializeUser({ id }: Person) {
    return id;
  }
  deserializeUser(id: number): Person {
    return new this.type(id);
  }
}

@Injectable()
class CustomerSerializer extends PersonSerializer {
  override readonly kind: string = 'customer';
  protected readonly type = Customer;
}

@Injectable()
class AdminSerializer extends PersonSerializer {
  override readonly kind: string = 'admin';
  protected readonly type = Admin;
}

type Kind = 'customer' | 'admin';
const KINDS = { customer: Customer, admin: Admin };

@Controller('kinds')
class KindsController {
  constructor(
    private readonly sessionAuth: SessionAuthService,
    private readonly registry: SessionRegistry,
  ) {}

  @Post('log-in')
  @HttpCode(200)
  async logIn(@Req() request: SessionRequest, @Body() { kind, id, keep }: LogInOptions & { kind: Kind; id: number }) {
    await this.sessionAuth.logIn(request, new KINDS[kind](id), { keep: keep ?? [] });
    return this.sessionAuth.current(request);
  }

  @Get('user')
  user(@CurrentUser() user: Person | undefined) {
    return { user: user?.name ?? null };
  }

  /** Mass assignment, as many applications have it somewhere. */
  @Post('assign')
  @HttpCode(200)
  assign(@CurrentSession() session: object, @Body() body: object) {
    Object.assign(session, body);
    return {};
  }

  @Delete('sessions')
  @UseGuards(SessionGuard)
  async signOutEverywhere(@CurrentUser() user: Person) {
    return { ended: await this.registry.revokeAll(user) };
  }

  @Get('session')
  session(@CurrentSession() session: Record<string, unknown>) {
    return { cart: session['cart'] ?? null };
  }
}

const providers = [CustomerSerializer, AdminSerializer, LocalStrategy];
const controllers = [KindsController];
const REVOKED = { status: 401, reason: 'revoked' };
const OPEN = { status: 200 };

function logIn(browser: Browser, kind: Kind, id = 1, options: LogInOptions = {}) {
  return browser.post('/kinds/log-in', { json: { kind, id, ...options } });
}

async function userOf(browser: Browser): Promise<string | null> {
  return (await browser.get('/kinds/user')).json<{ user: string | null }>().user;
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('two kinds of user with the same ids, with sessions in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    let registry: SessionRegistry;

    async function start(maxSessions?: MaxSessionsOptions) {
      application = await home.start({ providers, controllers, ...(maxSessions && { options: { maxSessions } }) });
      registry = application.app.get(SessionRegistry);
    }

    async function loggedIn(kind: Kind, id = 1): Promise<Browser> {
      const browser = application.browser();
      expect((await logIn(browser, kind, id)).status).toBe(200);
      return browser;
    }

    const visit = (browser: Browser) => responseTo(application, cookieOf(browser));

    it('are each restored as what they are', async () => {
      await start();

      expect(await userOf(await loggedIn('customer'))).toBe('Customer 1');
      expect(await userOf(await loggedIn('admin'))).toBe('Admin 1');
    });

    it('have ids of their own in lists, events and at current()', async () => {
      await start();
      const { userId } = (await logIn(application.browser(), 'admin')).json<SessionInfo>();

      expect(userId).toBe('admin:1');
      expect((await registry.list(new Admin(1))).map((info) => info.userId)).toEqual(['admin:1']);
      expect(application.events).toMatchObject([{ type: 'logged-in', userId: 'admin:1' }]);
    });

    it.each([
      ['the user', new Customer(1)],
      ['the id with its kind', 'customer:1'],
    ])('are told apart by every method of the registry, given %s', async (_, customer) => {
      await start();
      const [customers, admin] = [[await loggedIn('customer'), await loggedIn('customer')], await loggedIn('admin')];
      const [first, second] = customers as [Browser, Browser];
      const pages: SessionInfo[] = [];
      for await (const page of registry.pages(customer)) pages.push(...page);

      const handles = customers.map((browser) => idOf(browser).handle).sort();
      expect((await registry.list(customer)).map(({ handle }) => handle).sort()).toEqual(handles);
      expect(pages.map(({ handle }) => handle).sort()).toEqual(handles);
      expect(await registry.count(customer)).toBe(2);
      expect(await registry.revoke(customer, idOf(admin).handle)).toBe(false);
      expect(await registry.credentialsChanged(customer, { keep: idOf(admin).handle })).toBe(2);
      expect(await registry.revokeAll(customer)).toBe(0);
      expect(await Promise.all([first, second, admin].map(visit))).toEqual([
        { status: 401, reason: 'credentials_changed' },
        { status: 401, reason: 'credentials_changed' },
        OPEN,
      ]);

      const [third, fourth] = [await loggedIn('customer'), await loggedIn('customer')];
      expect(await registry.revokeAll(customer, { except: idOf(fourth).handle })).toBe(1);
      expect(await registry.revoke(customer, idOf(fourth).handle)).toBe(true);
      const fifth = await loggedIn('customer');
      expect(await registry.userDisabled(customer)).toBe(1);
      expect(await Promise.all([third, fourth, fifth, admin].map(visit))).toEqual([REVOKED, REVOKED, REVOKED, OPEN]);
      expect(await registry.count(new Admin(1))).toBe(1);
    });

    it.each([1, 1n, '1', 'staff:1', 'customer:', ':1', 'CUSTOMER:1'])(
      'are not to be guessed from an id without a kind of theirs: %p',
      async (id) => {
        await start();

        await expect(registry.revokeAll(id)).rejects.toThrow(
          new TypeError(
            'SessionRegistry needs a user, or the id of one with its kind: "customer:<id>" or "admin:<id>".',
          ),
        );
      },
    );

    it('do not count for the limit of each other', async () => {
      await start({ limit: 1 });
      const [customer, admin] = [await loggedIn('customer'), await loggedIn('admin')];
      const another = await loggedIn('customer');

      expect(await Promise.all([customer, admin, another].map(visit))).toEqual([
        { status: 401, reason: 'limit' },
        OPEN,
        OPEN,
      ]);
    });

    it('inherit nothing from each other where a login keeps data', async () => {
      await start();
      const cartAfter = async (kind: Kind) => {
        const browser = await loggedIn('customer');
        await browser.post('/kinds/assign', { json: { cart: 'of customer 1' } });
        await logIn(browser, kind, 1, { keep: ['cart'] });
        return (await browser.get('/kinds/session')).json();
      };

      expect(await cartAfter('customer')).toEqual({ cart: 'of customer 1' });
      expect(await cartAfter('admin')).toEqual({ cart: null });
    });

    it('belong to the serializer that has restored them, whatever another one says', async () => {
      /** What a query gives: a plain object, and no Admin. */
      @Injectable()
      class RowSerializer extends AdminSerializer {
        override deserializeUser(id: number): Person {
          return { id, name: 'a row' };
        }
      }
      @Injectable()
      class RestSerializer extends CustomerSerializer {
        override supports(user: unknown): boolean {
          return !(user instanceof Admin);
        }
      }
      const logger = new LogRecorder();
      application = await home.start({
        providers: [RestSerializer, RowSerializer, LocalStrategy],
        controllers: [KindsController],
        logger,
      });
      const [customer, admin] = [await loggedIn('customer'), await loggedIn('admin')];
      const ended = await admin.request('DELETE', '/kinds/sessions');

      expect(ended.json()).toEqual({ ended: 1 });
      expect([await visit(customer), await visit(admin)]).toEqual([OPEN, REVOKED]);
      expect(logger.at('error').join()).toMatch(
        /RowSerializer.deserializeUser\(\) returns users whom RowSerializer.supports\(user\)/,
      );
    });

    it('do not log in while two serializers claim them, or one cannot say at once', async () => {
      @Injectable()
      class AnyPerson extends CustomerSerializer {
        protected override readonly type = Person;
      }
      @Injectable()
      class Later extends CustomerSerializer {
        override supports(): boolean {
          return Promise.resolve(false) as unknown as boolean;
        }
      }
      for (const type of [AnyPerson, Later]) {
        application = await home.start({ providers: [type, AdminSerializer, LocalStrategy], controllers });
        const browser = application.browser();

        expect((await logIn(browser, 'admin')).json()).toMatchObject({ code: 'user_not_serializable' });
        expect(browser.cookies.size).toBe(0);
      }
    });

    it.each([
      ['the payload', { passport: { user: 99 } }, null],
      ['the payload to a text', { passport: { user: '99' } }, null],
      ['the payload to an object', { passport: { user: { toHexString: '99' } } }, null],
      ['a kind beside it', { passport: { user: 1, kind: 'admin', serializer: 'AdminSerializer' } }, 'Customer 1'],
    ])('cannot be taken on by changing %s in the session', async (_, body, user) => {
      await start();
      const [browser, admin] = [await loggedIn('customer'), await loggedIn('admin')];
      await browser.post('/kinds/assign', { json: body });
      const cookie = cookieOf(browser);

      expect(await userOf(browser)).toBe(user);
      expect(await responseTo(application, cookie)).toEqual(user === null ? REVOKED : OPEN);
      expect(application.events.slice(2)).toMatchObject(
        user === null ? [{ type: 'ended', userId: 'customer:1', reason: 'user_mismatch' }] : [],
      );
      expect(await visit(admin)).toEqual(OPEN);
    });
  });

  describe('a new version of an application', () => {
    const home = sessionsIn('redis');

    /** Who somebody is, in the next version of an application that they have logged in on. */
    async function afterwards(kind: Kind, before: Type<UserSerializer>[], after: Type<UserSerializer>[]) {
      const first = await home.start({ providers: [...before, LocalStrategy], controllers });
      const browser = first.browser();
      await logIn(browser, kind);
      const next = await home.start({ providers: [...after, LocalStrategy], controllers });
      const headers = { cookie: cookieOf(browser) };
      const open = await next.browser().get('/kinds/user', { headers });
      return {
        user: open.json<{ user: string | null }>().user,
        guarded: await responseTo(next, headers.cookie),
        events: next.events.map((event) => ('reason' in event ? event.reason : event.type)),
        application: next,
      };
    }

    /** Users whose ids are names, which they choose themselves, and who are found by number. */
    @Injectable()
    class NamedUsers extends UserSerializer<Person, number> {
      override userId({ id }: Person): string {
        return `admin:${id}`;
      }
      serializeUser({ id }: Person) {
        return id;
      }
      deserializeUser(id: number): Person {
        return new Customer(id);
      }
    }

    it('takes nobody whose id looked like one with a kind for a user of that kind', async () => {
      expect(await afterwards('customer', [NamedUsers], [CustomerSerializer, AdminSerializer])).toMatchObject({
        user: null,
        guarded: REVOKED,
        events: ['user_mismatch'],
      });
    });

    @Injectable()
    class Nameless extends PersonSerializer {
      override readonly kind: string = undefined as unknown as string;
      protected readonly type = Customer;
    }

    const named = (type: Type<PersonSerializer>, name: string) =>
      Object.defineProperty(class extends (type as typeof CustomerSerializer) {}, 'name', { value: name });

    it.each(['customer', 'admin'] as const)(
      'in which a minifier has swapped the names of classes takes a %s for the same user',
      async (kind) => {
        const before = [named(CustomerSerializer, 'a'), named(AdminSerializer, 'b')];
        const after = [named(CustomerSerializer, 'b'), named(AdminSerializer, 'a')];

        expect(await afterwards(kind, before, after)).toMatchObject({
          user: new KINDS[kind](1).name,
          guarded: OPEN,
          events: [],
        });
        const sessions = (await home.keys()).filter((key) => !key.endsWith('}'));
        expect(sessions).toHaveLength(1);
        expect(await home.client.get(sessions[0] ?? '')).not.toMatch(/"a"|"b"|Serializer/);
      },
    );

    it('knows a user of its only kind under another class name, too', async () => {
      const result = await afterwards('customer', [named(Nameless, 'a')], [named(Nameless, 'b')]);

      expect(result).toMatchObject({ user: 'Customer 1', guarded: OPEN, events: [] });
    });

    it.each([
      ['has kinds, which the former one had not', [Nameless], [CustomerSerializer, AdminSerializer]],
      ['has one kind, where the former one had none', [Nameless], [CustomerSerializer]],
      ['has no kinds, which the former one had', [CustomerSerializer, AdminSerializer], [Nameless]],
    ])('that %s takes nobody for another: the session ends', async (_, before, after) => {
      expect(await afterwards('customer', before, after)).toMatchObject({
        user: null,
        guarded: REVOKED,
        events: ['user_mismatch'],
      });
    });

    it('keeps a session of a kind that it does not know, and responds 503, as while versions run side by side', async () => {
      const result = await afterwards('admin', [CustomerSerializer, AdminSerializer], [CustomerSerializer]);

      expect(result).toMatchObject({ user: null, guarded: { status: 503 }, events: [] });
      expect(await result.application.app.get(SessionRegistry).count('customer:1')).toBe(0);
      expect(await home.keys()).toHaveLength(2);
    });
  });
});

describe('kinds', () => {
  const boot = (...serializers: Type<UserSerializer>[]) =>
    expect(TestApplication.start({ providers: [...serializers, LocalStrategy] })).rejects;
  const withKind = (kind: unknown, type: Type<PersonSerializer> = CustomerSerializer) => {
    class Named extends (type as unknown as typeof CustomerSerializer) {
      override readonly kind = kind as string;
    }
    return Named;
  };

  it('are required of each of several serializers', async () => {
    await boot(AdminSerializer, withKind(undefined)).toMatchObject({
      code: 'no_serializer',
      message: expect.stringMatching(/^Named has no kind, .* readonly kind = 'customer'\.$/),
    });
  });

  it('are different', async () => {
    await boot(CustomerSerializer, withKind('customer', AdminSerializer)).toThrow(
      /^CustomerSerializer and Named have the same kind, "customer"\. .* Give each a kind of its own\.$/,
    );
  });

  it.each(['', 'a:b', 'a b', 'käse', 'a\n', 7, null])('are words: %p is none', async (kind) => {
    await boot(withKind(kind)).toThrow(/^Named\.kind must be a word of letters, digits, "-" and "_"\.$/);
  });
});
