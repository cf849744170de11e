import { Controller, Get, Injectable, type Type, UseGuards } from '@nestjs/common';
import { PassportSerializer } from '@nestjs/passport';
import { CurrentUser, SessionGuard, UserSerializer } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type User } from '../support/application.js';
import { ProcessWatch } from '../support/process-watch.js';
import { ADA, type Application, FORGOTTEN, GRACE, isLoggedIn } from './scenario.js';
import { describeStages } from './stage.js';

/** A user database that a test has break down, and that counts how often it is asked. */
@Injectable()
class Users {
  lookups = 0;
  answer: (user: User) => unknown = (user) => user;

  find(id: string): unknown {
    this.lookups++;
    return this.answer({ id, name: id === '1' ? 'Ada' : 'Grace' });
  }
}

/** As Passport's documentation has it: errors are thrown, or given to the callback. */
@Injectable()
class ThrowingSerializer extends PassportSerializer {
  constructor(private readonly users: Users) {
    super();
  }
  serializeUser({ id }: User, done: (error: unknown, payload: unknown) => void): void {
    done(null, id);
  }
  deserializeUser(id: string, done: (error: unknown, user: unknown) => void): void {
    done(null, this.users.find(id));
  }
}

/** As it is written wherever the user database answers by a promise. */
@Injectable()
class AsyncSerializer extends PassportSerializer {
  constructor(private readonly users: Users) {
    super();
  }
  serializeUser({ id }: User, done: (error: unknown, payload: unknown) => void): void {
    done(null, id);
  }
  async deserializeUser(id: string, done: (error: unknown, user: unknown) => void): Promise<void> {
    done(null, await this.users.find(id));
  }
}

@Injectable()
class IdSerializer extends UserSerializer<User, string> {
  constructor(private readonly users: Users) {
    super();
  }
  serializeUser({ id }: User): string {
    return id;
  }
  deserializeUser(id: string): User | null {
    return this.users.find(id) as User | null;
  }
}

const provided = (serializer: Type) => [Users, serializer, LocalStrategy];

/** The user database, of either application. */
const users = ({ app }: Application) => app.get(Users);

const fail = () => {
  throw new Error('the user database is away');
};

describeStages((on) => {
  describe('a user who cannot be restored', () => {
    /** What every route says to a browser with a cookie; a browser of its own for each. */
    async function statuses(application: Application, answer: Users['answer']) {
      const browsers = [];
      for (let i = 0; i < 4; i++) browsers.push(await application.loggedIn());
      const [visitor, member, newcomer, leaver] = browsers;
      users(application).answer = answer;
      const answers = {
        public: await visitor!.get('/public'),
        me: await member!.get('/me'),
        login: await newcomer!.post('/login', { json: GRACE }),
        logout: await leaver!.post('/logout'),
      };
      users(application).answer = (user) => user;
      return {
        answers,
        status: Object.fromEntries(Object.entries(answers).map(([route, { status }]) => [route, status])),
        afterwards: await isLoggedIn(member!),
      };
    }

    on.control?.each<[string, Users['answer']]>([
      ['throws', fail],
      ['gives undefined', () => undefined],
    ])('control: a deserializeUser that %s takes every route down', async (_, answer) => {
      const application = await on.handWired({ providers: provided(ThrowingSerializer) });

      const { status } = await statuses(application, answer);
      expect(status).toEqual({ public: 500, me: 500, login: 500, logout: 500 });
    });

    it.each<[string, Users['answer']]>([
      ['null', () => null],
      ['undefined', () => undefined],
      ['a promise of null', () => Promise.resolve(null)],
    ])('and is gone (%s) is logged out: session ended, cookie cleared, request anonymous', async (_, answer) => {
      const application = await on.here({ providers: provided(IdSerializer) });

      const { status, answers, afterwards } = await statuses(application, answer);

      expect(status).toEqual({ public: 200, me: 401, login: 200, logout: 204 });
      expect(answers.public.json()).toEqual({ name: null });
      for (const { setCookies } of [answers.public, answers.me, answers.logout])
        expect(setCookies).toEqual([FORGOTTEN]);
      expect(answers.login.setCookies).toEqual([expect.stringMatching(/^sid=s%3A/)]);
      expect(afterwards).toBe(false);
      expect(await on.sessions()).toHaveLength(1); // Grace's.
      expect(application.events.filter(({ type }) => type === 'ended')).toEqual(
        Array.from({ length: 4 }, () => expect.objectContaining({ type: 'ended', reason: 'user_gone' })),
      );
    });

    it.each<[string, Users['answer']]>([
      ['throws', fail],
      ['rejects', () => Promise.reject(new Error('the user database is away'))],
    ])('because deserializeUser %s is 503 on guarded routes only, and keeps the session', async (_, answer) => {
      const application = await on.here({ providers: provided(IdSerializer) });

      const { status, answers, afterwards } = await statuses(application, answer);

      expect(status).toEqual({ public: 200, me: 503, login: 200, logout: 204 });
      expect(answers.me.json()).toMatchObject({ statusCode: 503, code: 'user_lookup_failed' });
      expect(answers.me.headers['retry-after']).toBe('1');
      expect([...answers.public.setCookies, ...answers.me.setCookies]).toEqual([]);
      expect(afterwards).toBe(true);
    });
  });

  describe('a serializer that rejects', () => {
    const reject = () => Promise.reject(new Error('the user database is away'));

    async function rejecting(application: Application) {
      const watch = on.closing(new ProcessWatch());
      const browser = await application.loggedIn();
      users(application).answer = reject;
      const answer = await browser.get('/me', { timeout: 300 }).catch(() => ({ status: 'no response' }));
      return { status: answer.status, unhandled: watch.unhandled.length };
    }

    on.control?.('control: hangs the request, and is an unhandled rejection', async () => {
      const application = await on.handWired({ providers: provided(AsyncSerializer) });

      expect(await rejecting(application)).toEqual({ status: 'no response', unhandled: 1 });
    });

    it('is an error response', async () => {
      const application = await on.here({ providers: provided(IdSerializer) });

      expect(await rejecting(application)).toEqual({ status: 503, unhandled: 0 });
    });

    it('at login is an error response, and logs nobody in', async () => {
      @Injectable()
      class RejectingSerializer extends SnapshotSerializer {
        override serializeUser(): never {
          return reject() as never;
        }
      }
      const watch = on.closing(new ProcessWatch());
      const application = await on.here({ providers: [RejectingSerializer, LocalStrategy] });
      const { status, setCookies } = await application.browser().post('/login', { json: ADA });

      expect({ status, setCookies }).toEqual({ status: 500, setCookies: [] });
      expect(await on.sessions()).toEqual([]);
      expect(watch.unhandled).toEqual([]);
    });
  });

  describe('the look-up of the user', () => {
    async function lookupsOf(application: Application, path: string, times = 5) {
      const browser = await application.loggedIn();
      users(application).lookups = 0;
      for (let i = 0; i < times; i++) expect((await browser.get(path)).status).toBe(200);
      return users(application).lookups;
    }

    @Controller('static')
    class StaticController {
      @Get('page')
      page(): string {
        return 'static';
      }
    }

    on.control?.('control: is done for every request, whatever it is for', async () => {
      const application = await on.handWired({
        providers: provided(ThrowingSerializer),
        controllers: [StaticController],
      });

      expect(await lookupsOf(application, '/static/page')).toBe(5);
    });

    it('is not done for what is excluded, nor is Redis asked', async () => {
      const application = await on.here({
        providers: provided(IdSerializer),
        controllers: [StaticController],
        options: { exclude: ['static/{*path}'] },
      });

      expect(await lookupsOf(application, '/static/page')).toBe(0);
      const browser = await application.loggedIn();
      const monitor = await on.monitor();
      expect(await monitor.during(() => browser.get('/static/page'))).toEqual([]);
    });

    it('is done once in a request, however many ask who it is', async () => {
      @Controller('curious')
      @UseGuards(SessionGuard)
      class CuriousController {
        @Get()
        @UseGuards(SessionGuard)
        who(@CurrentUser() user: User, @CurrentUser('name') name: string): object {
          return { user, name };
        }
      }
      const application = await on.here({ providers: provided(IdSerializer), controllers: [CuriousController] });

      expect(await lookupsOf(application, '/curious')).toBe(5);
    });

    it('is not needed where the session keeps the user', async () => {
      const application = await on.here({ providers: [Users, SnapshotSerializer, LocalStrategy] });

      expect(await lookupsOf(application, '/me')).toBe(0);
    });
  });
});
