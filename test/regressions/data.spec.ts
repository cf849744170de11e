import { Controller, Module, Post, Put, Req } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import type { Request } from 'express';
import { SESSION_STORE, SessionAuthModule, type SessionAuthOptions } from '../../lib/index.js';
import type { RedisSessionStore } from '../../lib/redis/redis-session-store.js';
import { SECRET, SnapshotSerializer } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { LogRecorder } from '../support/log-recorder.js';
import { ADA, type Application, dataOf, isLoggedIn, put } from './scenario.js';
import { data, promised } from './routes.js';
import { describeStages } from './stage.js';

describeStages((on) => {
  describe('what is no session under a session key', () => {
    /** Puts it under the key, where this text stood. */
    type Wreck = (key: string, text: string) => Promise<unknown>;

    const VALUES: [string, Wreck][] = [
      ['broken JSON', (key, text) => on.client.set(key, text.slice(0, -1))],
      ['a JSON number', (key) => on.client.set(key, '42')],
      ['a JSON text', (key) => on.client.set(key, '"text"')],
      ['JSON of another shape', (key) => on.client.set(key, '{"a":1}')],
      ['a JSON array', (key) => on.client.set(key, '[]')],
      ['a list', (key) => on.client.lPush(key, 'a')],
      ['a hash', (key) => on.client.hSet(key, 'a', 'b')],
    ];

    const changed = (field: string, value: unknown): [string, Wreck] => [
      `a session whose "${field}" is ${JSON.stringify(value)}`,
      (key, text) => {
        const { data: kept, ...head } = JSON.parse(text) as Record<string, unknown>;
        return on.client.set(
          key,
          JSON.stringify(field === 'data' ? { ...head, data: value } : { ...head, [field]: value, data: kept }),
        );
      },
    ];

    /** Two public requests in a row: is it over after the first? */
    async function requestsOverWreck(application: Application, wreck: Wreck) {
      const browser = await application.loggedIn();
      const [key = ''] = await on.sessions();
      const text = (await on.client.getDel(key))!;
      await wreck(key, text);
      const responses = [await browser.get('/public'), await browser.get('/public')];
      const login = await browser.post('/login', { json: ADA });
      return {
        statuses: responses.map(({ status }) => status),
        left: await on.client.exists(key),
        login: login.status,
        key,
      };
    }

    on.control?.each(VALUES)('control: %s is a 500 for ever', async (_, wreck) => {
      expect(await requestsOverWreck(await on.handWired(), wreck)).toMatchObject({
        statuses: [500, 500],
        left: 1,
        login: 500,
      });
    });

    it.each<[string, Wreck]>([
      ...VALUES,
      ['JSON null', (key) => on.client.set(key, 'null')],
      ['nothing', (key) => on.client.set(key, '')],
      changed('v', '1'),
      changed('seen', null),
      changed('created', 'yesterday'),
      changed('secret', 1),
      changed('remember', 'a month'),
      changed('maxAge', 'an hour'),
      changed('user', 1),
      changed('loginAt', 'noon'),
      changed('stamp', 1),
      changed('rotation', []),
      changed('rotation', { since: 'noon', grace: [] }),
      changed('rotation', { since: 0, pending: 1, grace: [] }),
      changed('rotation', { since: 0, grace: [null] }),
      changed('data', 'text'),
      changed('data', []),
    ])('%s is as good as absent, and removed with an event', async (_, wreck) => {
      const application = await on.here();

      const { key, ...seen } = await requestsOverWreck(application, wreck);

      expect(seen).toEqual({ statuses: [200, 200], left: 0, login: 200 });
      const handle = key.replace(/^sess:\{(.*)\}/, '$1');
      expect(application.events.filter(({ type }) => type === 'ended')).toEqual([
        { type: 'ended', reason: 'unreadable', handle, at: expect.any(Date) },
      ]);
    });
  });

  describe('a value that JSON cannot carry', () => {
    @Controller('unserializable')
    class UnserializableController {
      @Put('bigint')
      bigint(@Req() request: Request): object {
        data(request)['other'] = 'changed';
        data(request)['count'] = 1n;
        return {};
      }

      @Put('circular')
      circular(@Req() request: Request): object {
        const loop: { self?: object } = {};
        loop.self = loop;
        data(request)['other'] = 'changed';
        data(request)['loop'] = loop;
        return {};
      }

      @Post('login')
      async login(@Req() request: Request): Promise<void> {
        await promised((done) => {
          request.logIn({ id: '1', name: 'Ada' }, done);
        });
        data(request)['count'] = 1n;
      }
    }
    const controllers = [UnserializableController];

    async function store(application: Application, kind: string) {
      const browser = await application.loggedIn();
      await put(browser, 'other', 'kept');
      const [key = ''] = await on.sessions();
      const before = await on.client.get(key);
      const response = await browser.request('PUT', `/unserializable/${kind}`, { timeout: 300 }).catch(() => undefined);
      return { browser, response, unharmed: (await on.client.get(key)) === before };
    }

    on.control?.each(['bigint', 'circular'])('control: never ends the response (%s)', async (kind) => {
      expect((await store(await on.handWired({ controllers }), kind)).response).toBeUndefined();
    });

    it.each([
      ['bigint', 'count'],
      ['circular', 'loop'],
    ])('is an error response (%s); the log names its key, and what was stored is unharmed', async (kind, key) => {
      const logger = new LogRecorder();
      const application = await on.here({ controllers, logger });

      const { browser, response, unharmed } = await store(application, kind);

      expect(response!.status).toBe(500);
      expect(response!.json()).toMatchObject({ statusCode: 500, code: 'session_not_serializable' });
      expect(response!.setCookies).toEqual([]);
      expect(logger.at('error').filter((line) => line.includes(`"${key}"`))).not.toEqual([]);
      expect(unharmed).toBe(true);
      expect(await dataOf(browser)).toEqual({ other: 'kept' });
      expect(await isLoggedIn(browser)).toBe(true);
    });

    it('takes a login of the same request with it: nobody has its cookie', async () => {
      const application = await on.here({ controllers });
      const browser = application.browser();

      const response = await browser.post('/unserializable/login');

      expect([response.status, response.setCookies]).toEqual([500, []]);
      await eventually('the session to be ended', async () => (await on.sessions()).length === 0);
      await eventually('the end to be reported', () => application.events.length > 1);
      expect(application.events.map(({ type }) => type)).toEqual(['logged-in', 'logged-out']);
    });
  });

  it('a Date comes back as an ISO string', async () => {
    @Controller()
    class DateController {
      @Post('date')
      keep(@Req() request: Request): void {
        data(request)['date'] = new Date('2026-01-01T00:00:00Z');
      }
    }
    const browser = await (await on.here({ controllers: [DateController] })).loggedIn();
    await browser.post('/date');

    expect(await dataOf(browser)).toEqual({ date: '2026-01-01T00:00:00.000Z' });
    expect((await put(browser, 'other', 1)).status).toBe(200);
    expect(await dataOf(browser)).toEqual({ date: '2026-01-01T00:00:00.000Z', other: 1 });
  });

  describe('a session that grows large', () => {
    const large = async (options: Partial<SessionAuthOptions>, steps: number[]) => {
      const application = await on.here({ options });
      const browser = await application.loggedIn();
      const reported: number[] = [];
      for (const [i, bytes] of steps.entries()) {
        await put(browser, 'blob', 'x'.repeat(bytes));
        if (application.events.filter(({ type }) => type === 'large-session').length > reported.length)
          reported.push(i);
      }
      return { application, reported };
    };

    it('is reported when it passes 64 kB, and not again until it has shrunk', async () => {
      const { application, reported } = await large({}, [60_000, 66_000, 70_000, 10, 66_000]);

      expect(reported).toEqual([1, 4]);
      expect(application.events.find(({ type }) => type === 'large-session')).toEqual({
        type: 'large-session',
        at: expect.any(Date),
        userId: '1',
        handle: expect.stringMatching(/^[\w-]{28}$/),
        bytes: expect.any(Number),
      });
    });

    it('is reported when it passes what is configured', async () => {
      const { reported } = await large({ warnAtBytes: 1_000 }, [500, 1_000]);

      expect(reported).toEqual([1]);
    });

    it('is not reported where nobody wants to know', async () => {
      const { reported } = await large({ warnAtBytes: Infinity }, [90_000]);

      expect(reported).toEqual([]);
    });

    it('counts bytes, not characters', async () => {
      const application = await on.here({ options: { warnAtBytes: 1_000 } });
      await put(application.browser(), 'blob', 'ü'.repeat(600));

      expect(application.events).toEqual([expect.objectContaining({ type: 'large-session', bytes: 1_211 })]);
    });
  });

  describe('glob characters in the prefix', () => {
    const PREFIX = 'app[1]*?\\-^:';

    async function idsAndClear(store: { ids(): Promise<unknown>; clear(): Promise<unknown> }) {
      await on.client.set('app1-other', 'not ours');
      const ids = (await store.ids()) as string[];
      await store.clear();
      return { ids: ids.length, left: await on.keys() };
    }

    on.control?.('control: ids() finds nothing, clear() leaves all', async () => {
      const application = await on.handWired({ prefix: PREFIX });
      await application.loggedIn();

      const { ids, left } = await idsAndClear(application.store);
      expect({ ids, left: left.length }).toEqual({ ids: 0, left: 2 });
    });

    it('are taken as they stand', async () => {
      const application = await on.here({ options: { prefix: PREFIX } });
      const browser = await application.loggedIn();

      const store = application.app.get<RedisSessionStore>(SESSION_STORE);
      expect(await idsAndClear(store)).toEqual({ ids: 1, left: ['app1-other'] });
      expect(await isLoggedIn(browser)).toBe(false);
    });
  });

  describe('a lifetime of zero', () => {
    on.control?.('control: is a day (ttl: 0)', async () => {
      const application = await on.handWired({ ttl: 0 });
      await application.loggedIn();
      const [key = ''] = await on.sessions();

      expect(await on.client.ttl(key)).toBeGreaterThan(86_000);
    });

    it.each(['idle', 'absolute', 'touchEvery'])('is refused at boot, with the reason (%s)', async (name) => {
      @Module({
        imports: [SessionAuthModule.forRoot({ secret: SECRET, lifetime: { [name]: 0 } })],
        providers: [SnapshotSerializer],
      })
      class AppModule {}

      await expect(NestFactory.create(AppModule, { logger: false, abortOnError: false })).rejects.toMatchObject({
        code: 'invalid_option',
        message: expect.stringContaining(`"lifetime.${name}": 0 is no duration above zero`),
      });
    });
  });
});
