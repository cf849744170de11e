import { Body, Controller, Get, HttpCode, Inject, Param, Post, Req, Res } from '@nestjs/common';
import { ConnectedSocket, MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import type { ServerResponse } from 'node:http';
import {
  type Carrier,
  SessionAuthService,
  type SessionContents,
  SessionRegistry,
  type SessionRequest,
  SESSION_STORE,
} from '../../lib/index.js';
import type { AtomicSessionStore } from '../../lib/store/session-store.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { handlesIn, idOf, put, sessionsIn } from '../support/devices.js';
import { Gates } from '../support/gate.js';
import { ChatHandlers, type TestClient, TRANSPORTS } from '../support/gateways.js';
import { describePlatforms, storesOn, takeOver } from '../support/platforms.js';

/** Counts up, and remembers what it was told. */
const count = (data: SessionContents) => {
  data['count'] = ((data['count'] as number | undefined) ?? 0) + 1;
};

@Controller('update')
class UpdateController {
  constructor(
    private readonly sessionAuth: SessionAuthService,
    @Inject(Gates) private readonly gates: Gates,
  ) {}

  @Post('count')
  @HttpCode(200)
  async count(@Req() request: SessionRequest) {
    await this.sessionAuth.update(request, count);
    return { count: (request.session as unknown as SessionContents)['count'] };
  }

  /** Counts, and answers what is stored before the response. */
  @Post('count/:gate')
  @HttpCode(200)
  async slowly(@Req() request: SessionRequest, @Param('gate') gate: string) {
    const session = request.session as unknown as SessionContents;
    session['own'] = 'own';
    await this.gates.named(gate).pass();
    await this.sessionAuth.update(request, count);
    session['after'] = 'after';
    return { ...session, cookie: undefined, passport: undefined };
  }

  @Post('fail')
  @HttpCode(200)
  async fail(@Req() request: SessionRequest, @Body() { value }: { value?: string }) {
    const change = (data: SessionContents) => {
      data['half'] = 'done';
      if (value === undefined) throw new Error('on purpose');
      data['big'] = BigInt(value);
    };
    const error = await this.sessionAuth.update(request, change).catch((reason: unknown) => reason);
    return { error: (error as { code?: string }).code ?? (error as Error).message, session: request.session };
  }

  /** Begins its response, and then changes the session. */
  @Get('late')
  async late(@Req() request: SessionRequest, @Res() response: ServerResponse) {
    const own = takeOver(response);
    own.writeHead(200, { 'Content-Type': 'application/json' });
    own.write('{');
    const error = await this.sessionAuth.update(request, count).catch((reason: unknown) => reason);
    own.end(`"code": "${(error as { code?: string } | undefined)?.code ?? ''}"}`);
  }
}

@WebSocketGateway()
class CountingGateway extends ChatHandlers {
  @SubscribeMessage('count')
  async count(@ConnectedSocket() client: Carrier, @MessageBody() { times = 1 }: { times?: number }) {
    const counts = Array.from({ length: times }, () => this.sessionAuth.update(client, count));
    await Promise.all(counts);
    return { event: 'count', data: 'passed' };
  }
}

/** Has another request write in between, the next time that the store is about to. */
function interruptNextUpdate({ app }: TestApplication, work: () => Promise<unknown>): void {
  const store = app.get<AtomicSessionStore>(SESSION_STORE);
  const { update } = store;
  store.update = async (...args) => {
    store.update = update;
    await work();
    return store.update(...args);
  };
}

describePlatforms((platform) => {
  describe.each(storesOn(platform))('update(), with sessions in %s,', (where) => {
    const home = sessionsIn(where);
    let application: TestApplication;
    const start = async () => {
      application = await home.start({ controllers: [UpdateController] });
    };
    const session = async (browser: Browser) => (await browser.get('/session')).json();
    const gate = (name: string) => application.app.get(Gates).named(name);

    it('has stored the change when it resolves, with what the request has changed before', async () => {
      await start();
      const browser = await application.loggedIn();
      const [handle] = await handlesIn(application);
      const other = application.browser();
      const stored = async () => {
        const found = await application.app.get<AtomicSessionStore>(SESSION_STORE).find(handle!);
        return found !== undefined && 'values' in found ? found.values : {};
      };
      const counting = browser.post('/update/count/here');
      await gate('here').reached;
      expect(await stored()).not.toHaveProperty('own');
      let whenUpdated: Record<string, unknown> = {};
      const service = application.app.get(SessionAuthService);
      const { update } = service;
      service.update = async (...args) => {
        await update.apply(service, args);
        whenUpdated = await stored();
      };
      gate('here').open();

      expect((await counting).json()).toEqual({ own: 'own', count: 1, after: 'after' });
      expect(whenUpdated).toMatchObject({ own: 'own', count: 1 });
      expect(whenUpdated).not.toHaveProperty('after');
      expect(await session(browser)).toEqual({ own: 'own', count: 1, after: 'after' });
      expect(await session(other)).toEqual({});
    });

    it('loses no count of parallel requests', async () => {
      await start();
      const browser = await application.loggedIn();

      await Promise.all(Array.from({ length: 20 }, () => browser.post('/update/count')));

      expect(await session(browser)).toEqual({ count: 20 });
    });

    it('keeps what other requests have written since the session was read, at the same key too', async () => {
      await start();
      const browser = await application.loggedIn();
      const counting = browser.post('/update/count/here');
      await gate('here').reached;
      await put(browser, 'count', 41);
      await put(browser, 'other', 'other');
      gate('here').open();

      expect((await counting).json()).toEqual({ own: 'own', count: 42, after: 'after', other: 'other' });
      expect(await session(browser)).toEqual({ own: 'own', count: 42, after: 'after', other: 'other' });
    });

    it('makes the change again where another request was faster', async () => {
      await start();
      const browser = await application.loggedIn();
      interruptNextUpdate(application, () => put(browser, 'count', 41));

      expect((await browser.post('/update/count')).json()).toEqual({ count: 42 });
      expect(await session(browser)).toEqual({ count: 42 });
    });

    it('opens a session for a visitor who has none', async () => {
      await start();
      const visitor = application.browser();

      expect((await visitor.post('/update/count')).json()).toEqual({ count: 1 });
      expect((await visitor.post('/update/count')).json()).toEqual({ count: 2 });
      expect(await session(visitor)).toEqual({ count: 2 });
    });

    it('fails where no cookie can tell a visitor of the new session, and stores none', async () => {
      await start();

      expect((await application.browser().get('/update/late')).json()).toEqual({ code: 'cookie_not_sendable' });
      expect(await handlesIn(application)).toEqual([]);
      expect((await (await application.loggedIn()).get('/update/late')).json()).toEqual({ code: '' });
    });

    it('changes nothing where the change throws, or JSON cannot carry it', async () => {
      await start();
      const browser = await application.loggedIn();
      await put(browser, 'cart', [1]);
      const fail = async (body: object) => (await browser.post('/update/fail', { json: body })).json();

      expect(await fail({})).toMatchObject({ error: 'on purpose', session: { cart: [1] } });
      expect(await fail({ value: '1' })).toMatchObject({ error: 'session_not_serializable', session: { cart: [1] } });
      expect(await session(browser)).toEqual({ cart: [1] });
    });

    it('fails with the reason where the session has ended meanwhile', async () => {
      await start();
      const browser = await application.loggedIn();
      const counting = browser.post('/update/count/here');
      await gate('here').reached;
      await application.app.get(SessionRegistry).revokeAll('1');
      gate('here').open();

      const response = await counting;
      expect(response.status).toBe(401);
      expect(response.json()).toMatchObject({ code: 'unauthenticated', reason: 'revoked' });
      expect(await handlesIn(application)).toEqual([]);
    });
  });

  describe.each(TRANSPORTS.slice(0, 2))('update() over $name', ({ configure, open }) => {
    const clients: TestClient[] = [];
    afterEach(() => {
      for (const client of clients.splice(0)) client.close();
    });
    const home = sessionsIn('redis');
    let application: TestApplication;
    beforeEach(async () => {
      application = await home.start({
        configure,
        options: { connections: { recheck: '1h' } },
        providers: [SnapshotSerializer, LocalStrategy, CountingGateway],
      });
    });
    const connect = async (visitor?: Browser) => {
      const client = await open(application, visitor);
      clients.push(client);
      return client;
    };
    const session = async (browser: Browser) => (await browser.get('/session')).json();

    it('stores the change, keeps what requests have written, and is seen by the next message', async () => {
      const browser = await application.loggedIn();
      const client = await connect(browser);
      await put(browser, 'other', 'other');

      expect(await client.ask('count', { times: 5 })).toBe('passed');

      expect(await session(browser)).toEqual({ count: 5, other: 'other' });
      expect(await client.ask('session')).toMatchObject({ count: 5, other: 'other', isFrozen: true });
    });

    it('loses no count of two connections and of requests', async () => {
      const browser = await application.loggedIn();
      const [one, two] = [await connect(browser), await connect(browser)];

      const counts = [one, two].map((client) => client.ask('count', { times: 10 }));
      await Promise.all([...counts, put(browser, 'other', 'other')]);

      expect(await session(browser)).toEqual({ count: 20, other: 'other' });
    });

    it('goes on after a step-up, even if that has not been heard of', async () => {
      const browser = await application.loggedIn();
      const client = await connect(browser);
      const elsewhere = await home.start();
      let handle: string | undefined;
      interruptNextUpdate(application, async () => {
        handle = await stepUpElsewhere(elsewhere, browser);
      });

      expect(await client.ask('count')).toBe('passed');

      expect(handle).not.toBe(idOf(browser).handle);
      expect(await client.ask('current')).toMatchObject({ handle });
      const found = await application.app.get<AtomicSessionStore>(SESSION_STORE).find(handle!);
      expect(found).toMatchObject({ values: { count: 1 } });
    });

    it('fails with the reason where the session has ended', async () => {
      const client = await connect(await application.loggedIn());
      interruptNextUpdate(application, () => application.app.get(SessionRegistry).revokeAll('1'));

      client.send('count');

      expect(await client.ended()).toBe('revoked');
      expect(client.messages.some(({ data }) => data === 'passed')).toBe(false);
      expect(await handlesIn(application)).toEqual([]);
    });

    it('cannot open a session for a visitor, who could not be told of it', async () => {
      const stranger = await connect();

      expect(await stranger.ask('count')).toMatchObject({ code: 'cookie_not_sendable' });
      expect(await handlesIn(application)).toEqual([]);
    });

    it('does not count as activity by itself', async () => {
      const client = await connect(await application.loggedIn());
      const loggedInAt = application.clock.now();
      application.clock.advance(10 * 60_000);

      await client.ask('count');

      const [listed] = await application.app.get(SessionRegistry).list('1');
      expect(listed?.seenAt.getTime()).toBe(loggedInAt);
    });
  });
});

/** Steps the browser's session up in another process. Its handle is the reply: the browser does not learn of it. */
async function stepUpElsewhere(elsewhere: TestApplication, browser: Browser): Promise<string> {
  const headers = { cookie: `sid=${browser.cookies.get('sid') ?? ''}` };
  const response = await elsewhere.browser().post('/proof/step-up', { headers });
  return response.json<{ handle: string }>().handle;
}
