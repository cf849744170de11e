import { EventEmitter, on } from 'node:events';
import { UseGuards } from '@nestjs/common';
import { Context, Query, Resolver, Subscription } from '@nestjs/graphql';
import {
  type Carrier,
  CurrentSession,
  CurrentUser,
  Public,
  RequireFreshLogin,
  SessionAuthService,
  SessionConnections,
  SessionGuard,
  SessionRegistry,
} from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, put, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { graphqlServers } from '../support/graphql-drivers.js';
import { GraphQLSocket } from '../support/graphql-socket.js';
import { HOUR } from '../support/session-stores.js';

const feed = new EventEmitter();
const news = (text: string) => feed.emit('news', text);
const texts = { resolve: ([text]: [string]) => text };

@Resolver()
@UseGuards(SessionGuard)
class NewsResolver {
  constructor(private readonly auth: SessionAuthService) {}

  @Query(() => Boolean)
  nothing() {
    return true;
  }

  @Subscription(() => String, texts)
  news() {
    return on(feed, 'news');
  }

  @Subscription(() => String, texts)
  @Public()
  newsForAll() {
    return on(feed, 'news');
  }

  @Subscription(() => String, texts)
  async *mine(@CurrentUser('name') name: string, @Context() context: Carrier, @CurrentSession() session: object) {
    const { handle } = this.auth.current(context);
    yield await Promise.resolve([JSON.stringify({ name, handle, session, isFrozen: Object.isFrozen(session) })]);
  }

  @Subscription(() => String, texts)
  @RequireFreshLogin('5m')
  secrets() {
    return on(feed, 'news');
  }

  @Subscription(() => String, texts)
  async stepUp(@Context() context: Carrier) {
    await this.auth.reauthenticate(context);
    return on(feed, 'news');
  }

  @Subscription(() => String, texts)
  async logOut(@Context() context: Carrier) {
    await this.auth.logOut(context);
    return on(feed, 'news');
  }
}

describe.each(graphqlServers)('GraphQL subscriptions by $name', ({ withSubscriptions, platform }) => {
  const home = sessionsIn('redis');
  let application: TestApplication;
  const sockets: GraphQLSocket[] = [];

  beforeEach(async () => {
    application = await home.start({
      platform,
      imports: [withSubscriptions()],
      options: { connections: { recheck: 200 } },
      providers: [SnapshotSerializer, LocalStrategy, NewsResolver],
    });
  });
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.close();
    await eventually('the feed to have no readers', () => feed.listenerCount('news') === 0);
  });

  const connect = async (browser: Browser) => {
    const socket = await GraphQLSocket.open(application, browser);
    sockets.push(socket);
    return socket;
  };
  const subscribe = async (socket: GraphQLSocket, query = 'subscription { news }') => {
    const readers = feed.listenerCount('news');
    const subscription = socket.subscribe(query);
    await eventually(`the subscription of ${query}`, () => feed.listenerCount('news') > readers);
    return subscription;
  };
  /** The user in a new browser, who hears the news. */
  const arrive = async () => {
    const browser = await application.loggedIn();
    const socket = await connect(browser);
    return { browser, socket, handle: idOf(browser).handle, subscription: await subscribe(socket) };
  };

  it('know the user and the session of the browser that connects', async () => {
    const browser = await application.loggedIn();
    await put(browser, 'nested', { cart: [1] });
    const socket = await connect(browser);

    const subscription = socket.subscribe('subscription { mine }');

    const [first] = await eventually('the first message', () => subscription.heard.length > 0 && subscription.heard);
    const { handle } = idOf(browser);
    expect(JSON.parse((first as { mine: string }).mine)).toEqual({
      name: 'Ada',
      handle,
      session: { id: handle, passport: { user: { id: '1', name: 'Ada' } }, nested: { cart: [1] } },
      isFrozen: true,
    });
  });

  it('are heard by who is logged in, and by everybody where they are public', async () => {
    const { subscription } = await arrive();
    const stranger = await connect(application.browser());
    const open = await subscribe(stranger, 'subscription { newsForAll }');

    news('rain');

    await eventually('the news', () => subscription.heard.length === 1 && open.heard.length === 1);
    expect([subscription.heard, open.heard]).toEqual([[{ news: 'rain' }], [{ newsForAll: 'rain' }]]);
  });

  it('that are refused say why in the extensions of their error, as queries do', async () => {
    const UNAUTHENTICATED = { code: 'UNAUTHENTICATED', sessionAuth: 'unauthenticated' };
    const stranger = await connect(application.browser());
    const { socket, browser } = await arrive();
    await application.app.get(SessionRegistry).revokeAll('1');
    const former = await connect(browser);
    await socket.end();
    const { socket: late } = await arrive();
    application.clock.advance(6 * 60_000);

    expect(await stranger.refusal('subscription { news }')).toMatchObject([
      { message: 'You are not logged in.', extensions: UNAUTHENTICATED },
    ]);
    expect(await former.refusal('subscription { news }')).toMatchObject([
      { message: 'Your session was ended.', extensions: { ...UNAUTHENTICATED, reason: 'revoked' } },
    ]);
    expect(await late.refusal('subscription { secrets }')).toMatchObject([
      { extensions: { code: 'UNAUTHENTICATED', sessionAuth: 'fresh_login_required', maxAge: 300 } },
    ]);
    expect(await late.refusal('subscription { stepUp }')).toMatchObject([
      { extensions: { sessionAuth: 'cookie_not_sendable' } },
    ]);
    expect([stranger.isOpen, late.isOpen]).toEqual([true, true]);
  });

  type Visit = Awaited<ReturnType<typeof arrive>>;
  const ENDS: [cause: string, reason: string, end: (visit: Visit) => Promise<unknown> | undefined][] = [
    ['a logout', 'logged_out', ({ browser }) => browser.post('/logout')],
    ['a logout by themselves', 'logged_out', ({ socket }) => void socket.subscribe('subscription { logOut }')],
    ['a revocation from another browser', 'revoked', ({ handle }) => revokeElsewhere(handle)],
  ];
  const revokeElsewhere = async (handle: string) => {
    const elsewhere = await application.loggedIn();
    return elsewhere.post('/devices/revoke', { json: { handle } });
  };

  it.each(ENDS)('end with their session by %s, with the reason %s, and no others do', async (_, reason, end) => {
    const visit = await arrive();
    const tab = await connect(visit.browser);
    const other = await arrive();

    await end(visit);

    expect([await visit.socket.end(), await tab.end()]).toEqual([
      { code: 4401, reason },
      { code: 4401, reason },
    ]);
    await eventually('their source to be unsubscribed', () => feed.listenerCount('news') === 1);
    news('sun');
    await eventually('the news', () => other.subscription.heard.length === 1);
    expect(visit.subscription.heard).toEqual([]);
    expect(application.app.get(SessionConnections).count()).toBe(1);
  });

  it('end when their session expires', async () => {
    const { socket } = await arrive();

    application.clock.advance(HOUR);

    expect(await socket.end()).toEqual({ code: 4401, reason: 'expired' });
  });

  it('go on after a step-up, which makes the login fresh for them too', async () => {
    const { socket, browser, handle } = await arrive();
    application.clock.advance(6 * 60_000);

    await browser.post('/proof/step-up');

    await subscribe(socket, 'subscription { secrets }');
    const connections = application.app.get(SessionConnections);
    expect([connections.count({ handle }), connections.count({ handle: idOf(browser).handle })]).toEqual([0, 1]);
    await application.app.get(SessionRegistry).revoke('1', idOf(browser).handle);
    expect(await socket.end()).toEqual({ code: 4401, reason: 'revoked' });
  });

  it('are closed first when the application closes, and their session goes on', async () => {
    const { socket } = await arrive();

    await application.close();

    expect(await socket.end()).toMatchObject({ code: 1001 }); // Apollo's driver comes first, with a text of its own.
    expect(application.events.filter(({ type }) => type === 'connection-closed')).toEqual([]);
  });

  it('count as activity when they begin', async () => {
    const { socket } = await arrive();
    const seenAt = async () => (await application.app.get(SessionRegistry).list('1'))[0]?.seenAt.getTime();

    application.clock.advance(10 * 60_000);
    await subscribe(socket);

    await eventually('the activity', async () => (await seenAt()) === application.clock.now());
  });

  it('are listened for while they are open, and not before', async () => {
    const browser = await application.loggedIn();
    await connect(application.browser());
    expect(await home.subscribers('sess:ended')).toBe(0);

    const socket = await connect(browser);
    await eventually('somebody to listen', async () => (await home.subscribers('sess:ended')) === 1);
    socket.close();

    await eventually('nobody to listen', async () => (await home.subscribers('sess:ended')) === 0);
  });
});
