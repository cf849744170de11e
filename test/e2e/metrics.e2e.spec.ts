import { Controller, Get, HttpCode, Injectable, Module, Post, Req, Sse, UseGuards } from '@nestjs/common';
import type { Attributes } from '@opentelemetry/api';
import { Subject } from 'rxjs';
import {
  LoginGuard,
  PendingLogin,
  RequireFreshLogin,
  SessionAuthService,
  SessionConflictException,
  SessionEvents,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import { SessionMetrics } from '../../lib/metrics/index.js';
import { LocalStrategy, TestApplication } from '../support/application.js';
import { cookieFor, idOf, ProofController, put, responseTo, SlowController } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { TestMeter } from '../support/meter.js';
import { describePlatforms } from '../support/platforms.js';
import { RedisServer } from '../support/redis-server.js';
import { gone, VanishingSerializer } from '../support/session-ends.js';

const ADA = { username: 'ada', password: 'lovelace' };
const KEYS = [
  'error.type',
  'session_auth.login.strategy',
  'session_auth.login.method',
  'session_auth.end.reason',
  'session_auth.conflict.outcome',
  'session_auth.store.operation.name',
];
const news = new Subject<{ data: string }>();

@Injectable()
class TolerantGuard extends SessionGuard {
  protected override handleDenied(): Promise<boolean> {
    return Promise.resolve(true);
  }
}

@Controller('steps')
class StepsController {
  constructor(private readonly auth: SessionAuthService) {}

  @Post('password')
  @HttpCode(200)
  @UseGuards(LoginGuard('local', { method: 'password' }))
  password() {}

  @Post('first')
  @HttpCode(200)
  @UseGuards(LoginGuard('local', { method: 'password', pending: ['totp'] }))
  first() {}

  @Post('totp')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(SessionGuard)
  async second(@Req() request: SessionRequest) {
    await this.auth.completeLogin(request, 'totp');
  }

  @Post('again')
  @HttpCode(200)
  @PendingLogin()
  @UseGuards(LoginGuard('local', { method: 'password' }))
  again() {}

  @Get('fresh')
  @UseGuards(SessionGuard)
  @RequireFreshLogin('1m')
  fresh() {}

  @Get('tolerant')
  @UseGuards(TolerantGuard)
  tolerant() {}

  @Sse('news')
  news() {
    return news;
  }
}

const PARTS = {
  providers: [VanishingSerializer, LocalStrategy, Gates, SessionMetrics],
  controllers: [StepsController, ProofController, SlowController],
};

let meter: TestMeter;
beforeAll(() => {
  meter = TestMeter.start();
});
afterAll(() => meter.stop());

describePlatforms(() => {
  describe('SessionMetrics', () => {
    let redis: RedisServer;
    let application: TestApplication;

    beforeAll(async () => {
      redis = await RedisServer.start();
      application = await TestApplication.start({
        ...PARTS,
        options: {
          redis: { url: `redis://127.0.0.1:${redis.port}` },
          redisTimeout: '1s',
          maxSessions: { limit: 2, overflow: 'evict-oldest' },
        },
      });
    });

    beforeEach(() => meter.read());

    afterEach(async () => {
      gone.clear();
      await redis.ask('flushall');
    });

    afterAll(async () => {
      await application.close();
      await redis.stop();
    });

    const registry = () => application.app.get(SessionRegistry);
    const reason = (name: string): Attributes => ({ 'session_auth.end.reason': name });

    it('counts logins and failures, by strategy and method', async () => {
      const browser = application.browser();
      await browser.post('/steps/password', { json: { ...ADA, password: 'wrong' } });
      await browser.post('/login', { json: { ...ADA, password: 'wrong' } });
      await browser.post('/login', { json: ADA });
      await browser.post('/steps/password', { json: ADA });
      await browser.post('/proof/none', { json: { user: { id: '1' }, method: 'link' } });

      const strategy = { 'session_auth.login.strategy': 'local' };
      const method = { 'session_auth.login.method': 'password' };
      const failed = { 'error.type': 'login_failed' };
      expect(await meter.changes('session_auth.login.attempts')).toEqual([
        [{ ...strategy, ...method, ...failed }, 1],
        [{ ...strategy, ...failed }, 1],
        [strategy, 1],
        [{ ...strategy, ...method }, 1],
        [{ 'session_auth.login.method': 'link' }, 1],
      ]);
    });

    it('counts the first steps of a login by themselves, and the last one as the login', async () => {
      const browser = application.browser();
      await browser.post('/steps/first', { json: ADA });
      await browser.post('/steps/totp');

      const readings = (await meter.read()).filter(({ name }) => name.startsWith('session_auth.login.'));
      expect(readings.map(({ name, attributes }) => [name, attributes])).toEqual([
        ['session_auth.login.attempts', { 'session_auth.login.method': 'totp' }],
        [
          'session_auth.login.steps',
          { 'session_auth.login.strategy': 'local', 'session_auth.login.method': 'password' },
        ],
      ]);
    });

    it('counts step-ups', async () => {
      const browser = await application.loggedIn();
      await browser.post('/steps/again', { json: ADA });
      await browser.post('/proof/step-up', { json: { method: 'webauthn' } });

      expect(await meter.changes('session_auth.step_ups')).toEqual([
        [{ 'session_auth.login.strategy': 'local', 'session_auth.login.method': 'password' }, 1],
        [{ 'session_auth.login.method': 'webauthn' }, 1],
      ]);
    });

    it('counts sessions that were ended, by the reason', async () => {
      await (await application.loggedIn()).post('/logout');
      await registry().revoke('1', idOf(await application.loggedIn()).handle, { by: 'admin' });
      await Promise.all([application.loggedIn('grace', 'hopper'), application.loggedIn('grace', 'hopper')]);
      await registry().revokeAll('2');
      await application.loggedIn();
      await registry().credentialsChanged('1');
      for (let logins = 0; logins < 3; logins++) {
        await application.loggedIn('grace', 'hopper');
        application.clock.advance(1);
      }
      const browser = await application.loggedIn();
      gone.add('1');
      await browser.get('/me');

      expect(await meter.changes('session_auth.ended_sessions')).toEqual([
        [reason('logged_out'), 1],
        [reason('admin'), 1],
        [reason('user'), 2],
        [reason('credentials_changed'), 1],
        [reason('limit'), 1],
        [reason('user_gone'), 1],
      ]);
    });

    it('says that no cookie was copied from the start, so that the first one is an increase where metrics are stored', async () => {
      const fresh = await TestApplication.start(PARTS);
      await fresh.close();
      expect(await meter.zeros()).toContain('session_auth.reuse_detections');
    });

    it('counts copied cookies, each with the session that it ended', async () => {
      const { handle } = idOf(await application.loggedIn());
      await responseTo(application, cookieFor({ handle, secret: 'x'.repeat(43) }));

      const readings = await meter.read();
      expect(readings.filter(({ name }) => name === 'session_auth.reuse_detections')).toMatchObject([{ value: 1 }]);
      expect(readings.filter(({ name }) => name === 'session_auth.ended_sessions')).toMatchObject([
        { attributes: reason('reuse_detected'), value: 1 },
      ]);
    });

    it('counts what guards refuse, by the code and how the session has ended, and what comes from other sites', async () => {
      const anonymous = application.browser();
      await anonymous.get('/me');
      await anonymous.get('/steps/tolerant');
      await anonymous.get('/public');
      await anonymous.post('/steps/first', { json: ADA });
      await anonymous.get('/me');
      const browser = await application.loggedIn();
      application.clock.advance('5m');
      await browser.get('/steps/fresh');
      await browser.post('/logout', { headers: { 'sec-fetch-site': 'cross-site' } });
      await registry().revokeAll('1');
      await browser.get('/me');

      expect(await meter.changes('session_auth.refusals')).toEqual([
        [{ 'error.type': 'unauthenticated' }, 1],
        [{ 'error.type': 'login_incomplete' }, 1],
        [{ 'error.type': 'fresh_login_required' }, 1],
        [{ 'error.type': 'cross_site_request' }, 1],
        [{ 'error.type': 'unauthenticated', ...reason('revoked') }, 1],
      ]);
    });

    it('counts changes that met a newer version of their session, and those given up for that', async () => {
      const browser = await application.loggedIn();
      const gate = application.app.get(Gates).named('metrics');
      const slow = browser.post('/slow/metrics');
      await gate.reached;
      await put(browser.tab(), 'other', true);
      gate.open();
      expect((await slow).status).toBe(200);
      const error = new SessionConflictException();
      application.app.get(SessionEvents).emit({ type: 'store-error', operation: 'update', error }, 0);

      expect(await meter.changes('session_auth.conflicts')).toEqual([
        [{ 'session_auth.conflict.outcome': 'retried' }, 1],
        [{ 'session_auth.conflict.outcome': 'given_up' }, 1],
      ]);
    });

    it('observes the open connections', async () => {
      const browser = await application.loggedIn();
      const { body } = await browser.open('GET', '/steps/news');

      await eventually('it to be open', async () =>
        (await meter.changes('session_auth.connection.count')).some(([, change]) => change === 1),
      );

      await browser.tab().post('/logout');
      body.resume();
      const changes = await eventually('it to end', async () => {
        const all = await meter.changes('session_auth.connection.count');
        return all.length > 0 && all;
      });
      expect(changes).toEqual([[{}, -1]]);
    });

    it('measures what the store is asked, and why it fails', async () => {
      const browser = await application.loggedIn();
      await put(browser, 'key', 'value');
      await registry().list('1');
      await registry().count('1');
      await browser.post('/logout');
      await registry().revokeAll('1');
      const names = async () =>
        (await meter.read('session_auth.store.operation.duration')).map(({ attributes, unit }) => ({
          ...attributes,
          unit,
        }));
      const operation = (name: string) => ({ 'session_auth.store.operation.name': name, unit: 's' });

      expect(new Set(await names())).toEqual(
        new Set(['log_in', 'find', 'update', 'list', 'count', 'end', 'end_all'].map(operation)),
      );

      redis.pause();
      const unknown = cookieFor({ handle: 'A'.repeat(28), secret: 'x'.repeat(43) });
      expect((await responseTo(application, unknown)).status).toBe(503);
      expect(await names()).toContainEqual({ ...operation('find'), 'error.type': 'timeout' });

      await eventually('the connection to be known as down', async () => {
        await responseTo(application, unknown);
        return (await names()).some((one) => 'error.type' in one && one['error.type'] === 'disconnected');
      });
      redis.resume();
      await eventually('Redis to be back', async () => (await responseTo(application, unknown)).status === 401);
    });

    it('names no session, user, address or browser in any attribute', async () => {
      const headers = { 'user-agent': 'Difference Engine' };
      const browser = application.browser();
      await browser.post('/steps/password', { json: { ...ADA, password: 'wrong' }, headers });
      await browser.post('/steps/password', { json: ADA, headers });
      await browser.get('/steps/fresh', { headers });
      await browser.post('/steps/again', { json: ADA, headers });
      await browser.post('/logout', { headers });
      await meter.read();

      const attributes = meter.history.map((reading) => reading.attributes);
      const values = new Set(attributes.flatMap((one) => Object.values(one).map(String)));
      const identities = application.events.flatMap(({ handle, userId }) => [handle, userId]);
      for (const identity of new Set(identities)) expect(values).not.toContain(identity);
      expect([...values].join()).not.toMatch(/Difference Engine|127[.]0[.]0[.]1|ada|wrong/);
      expect([...new Set(attributes.flatMap((one) => Object.keys(one)))].filter((key) => !KEYS.includes(key))).toEqual(
        [],
      );
    });

    it('keeps the number of methods small, whatever words the application makes up', async () => {
      const browser = application.browser();
      for (let word = 0; word < 50; word++) {
        await browser.post('/proof/none', { json: { user: { id: '1' }, method: `method ${word}` } });
      }

      const changes = await meter.changes('session_auth.login.attempts');
      const methods = changes.map(([attributes]) => attributes['session_auth.login.method']);
      expect(methods.length).toBeLessThanOrEqual(31);
      expect(methods).toContain('_OTHER');
    });
  });
});

describe('SessionMetrics, among the providers of two modules', () => {
  it('counts once', async () => {
    @Module({ providers: [SessionMetrics] })
    class OtherModule {}
    const application = await TestApplication.start({ ...PARTS, imports: [OtherModule] });
    await meter.read();
    await application.loggedIn();

    expect(await meter.changes('session_auth.login.attempts')).toMatchObject([[{}, 1]]);
    await application.close();
  });
});

describe('SessionMetrics, without an SDK of OpenTelemetry', () => {
  it('counts nothing, and nothing fails', async () => {
    await meter.stop();
    const application = await TestApplication.start(PARTS);
    const browser = await application.loggedIn();

    expect((await browser.get('/me')).status).toBe(200);
    await application.close();
  });
});
