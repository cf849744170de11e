import type { Server as HttpServer } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type ExecutionContext, HttpException, Inject, Injectable, type Type, UseGuards } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { IoAdapter } from '@nestjs/platform-socket.io';
import { WsAdapter } from '@nestjs/platform-ws';
import { type GatewayMetadata, WebSocketGateway, WsException } from '@nestjs/websockets';
import type { Server, ServerOptions } from 'socket.io';
import type { WebSocketServer as WsServer } from 'ws';
import {
  FreshLoginGuard,
  Public,
  RequireFreshLogin,
  SessionConnections,
  SessionGuard,
  SessionRegistry,
  UserSerializer,
} from '../../lib/index.js';
import {
  LocalStrategy,
  SnapshotSerializer,
  type TestApplication,
  type TestApplicationOptions,
  type User,
} from '../support/application.js';
import { cookieOf, idOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { freePort } from '../../scripts/free-port.mjs';
import { ChatHandlers, LenientGuard, OpenGateway } from '../support/gateways.js';
import { itRefusesOverWs } from '../support/nest.js';
import { TestIoSocket } from '../support/io-socket.js';
import { TestSocket } from '../support/web-socket.js';

/** Nest passes every option of the server on, and names some. */
type Options = GatewayMetadata & Pick<Partial<ServerOptions>, 'connectionStateRecovery'> & { verifyClient?: unknown };

/** A gateway of its own, for these options. */
function gateway(options: Options = {}, port = 0, ...decorators: ClassDecorator[]): Type<ChatHandlers> {
  class Gateway extends ChatHandlers {}
  for (const decorate of [...decorators, WebSocketGateway(port, options)]) decorate(Gateway);
  return Gateway;
}
const guarded = (options: Options = {}, port = 0) => gateway(options, port, UseGuards(SessionGuard));
const byWs: TestApplicationOptions['configure'] = (app) => app.useWebSocketAdapter(new WsAdapter(app));

/** Waits at the gate before it lets a client connect. */
@Injectable()
class SlowGuard extends SessionGuard {
  @Inject(Gates) private readonly gates!: Gates;

  override async canActivate(context: ExecutionContext): Promise<boolean> {
    const isAdmitted = await super.canActivate(context);
    await this.gates.named('handshake').pass();
    return isAdmitted;
  }
}

/** Restores a user once the gate is open. */
@Injectable()
class SlowSerializer extends UserSerializer<User, User> {
  @Inject(Gates) private readonly gates!: Gates;

  serializeUser(user: User): User {
    return user;
  }
  async deserializeUser(user: User): Promise<User> {
    await this.gates.named('handshake').pass();
    return user;
  }
}

/** Refuses by whatever the application has thought of. */
class OddGuard extends SessionGuard {
  static refusal: unknown;

  protected override handleDenied(): Promise<boolean> {
    throw OddGuard.refusal;
  }
}

const clients: { close(): void }[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.close();
});
const home = sessionsIn('memory');
let application: TestApplication;

async function start(gateways: Type<ChatHandlers>[], options: TestApplicationOptions = {}): Promise<void> {
  const providers = [SnapshotSerializer, LocalStrategy, ...gateways, ...(options.providers ?? [])];
  application = await home.start({ ...options, providers });
}
const openIo = async (...args: Parameters<typeof TestIoSocket.open>) => {
  const client = await TestIoSocket.open(...args);
  clients.push(client);
  return client;
};
const openWs = async (...args: Parameters<typeof TestSocket.open>) => {
  const client = await TestSocket.open(...args);
  clients.push(client);
  return client;
};
const YEAR = 365 * 24 * 3_600_000;
const ADA = { id: '1', name: 'Ada' };

describe('a namespace', () => {
  it('is guarded by its own gateways', async () => {
    await start([OpenGateway, guarded({ namespace: 'chat' })]);
    const ada = await application.loggedIn();

    const inChat = await openIo(application, ada, { path: '/chat' });
    expect(await inChat.ask('who')).toEqual(ADA);
    const stranger = await openIo(application, undefined, { path: '/chat' });
    expect(await stranger.ended()).toBe('unauthenticated');
    expect((await openIo(application)).isOpen).toBe(true);
  });

  it('is guarded where its name is a pattern, too', async () => {
    await start([guarded({ namespace: /^\/room-\d+$/ })]);

    const inRoom = await openIo(application, await application.loggedIn(), { path: '/room-1' });
    expect(inRoom.isOpen).toBe(true);
    expect(await (await openIo(application, undefined, { path: '/room-2' })).ended()).toBe('unauthenticated');
  });

  it('is guarded where an adapter has made it, too', async () => {
    class Adapter extends IoAdapter {
      override createIOServer(port: number, options?: ServerOptions): Server {
        const server = super.createIOServer(port, options);
        server.of('chat').use((_, next) => {
          next();
        });
        return server;
      }
    }
    await start([guarded({ namespace: 'chat' })], { configure: (app) => app.useWebSocketAdapter(new Adapter(app)) });
    const ada = await application.loggedIn();
    const inChat = await openIo(application, ada, { path: '/chat' });

    expect(await (await openIo(application, undefined, { path: '/chat' })).ended()).toBe('unauthenticated');
    await ada.post('/logout');
    expect(await inChat.ended()).toBe('logged_out');
  });

  it('shares its connection with others, and all are told when that ends', async () => {
    await start([OpenGateway, guarded({ namespace: 'chat' })]);
    const ada = await application.loggedIn();
    const root = await openIo(application, ada);
    const chat = await root.alsoIn('/chat');
    clients.push(chat);
    expect(application.app.get(SessionConnections).count({ user: '1' })).toBe(1);

    await application.app.get(SessionRegistry).revoke('1', idOf(ada).handle);

    expect([await root.ended(), await chat.ended()]).toEqual(['revoked', 'revoked']);
    expect([root.disconnected, chat.disconnected]).toEqual(['io server disconnect', 'io server disconnect']);
    expect(root.messages).toEqual([{ event: 'exception', data: { code: 'unauthenticated', reason: 'revoked' } }]);
  });
});

describe('a port of its own', () => {
  it.each(['/', '/chat'])('serves a gateway of ws that is guarded, at %s', async (path) => {
    const port = await freePort();
    await start([guarded(path === '/' ? {} : { path }, port)], { configure: byWs });
    const there = { url: `http://127.0.0.1:${port}` };
    const ada = await application.loggedIn();

    const client = await openWs(there, ada, path);
    expect(await client.ask('who')).toEqual(ADA);
    expect(await (await openWs(there, undefined, path)).end()).toEqual({ code: 4401, reason: 'unauthenticated' });
    await ada.post('/logout');
    expect(await client.end()).toEqual({ code: 4401, reason: 'logged_out' });
  });

  it('serves a gateway of Socket.IO that is guarded', async () => {
    const port = await freePort();
    await start([guarded({}, port)]);
    const there = { url: `http://127.0.0.1:${port}` };
    const ada = await application.loggedIn();

    const client = await openIo(there, ada);
    expect(await client.ask('who')).toEqual(ADA);
    expect(await (await openIo(there)).ended()).toBe('unauthenticated');
    await ada.post('/logout');
    expect(await client.ended()).toBe('logged_out');
  });
});

describe("the application's own", () => {
  const isAllowed = (request: { headers: object }) => 'x-allowed' in request.headers;
  const allowed = { 'x-allowed': 'yes' };

  it('verifyClient holds as well, in either form', async () => {
    type Verify = (info: { req: { headers: object } }, done: (verified: boolean, code?: number) => void) => void;
    const slowly: Verify = ({ req }, done) => {
      setImmediate(done, isAllowed(req), 403);
    };
    const forms = [({ req }: { req: { headers: object } }) => isAllowed(req), slowly];
    for (const verifyClient of forms) {
      await start([guarded({ verifyClient })], { configure: byWs });
      const ada = await application.loggedIn();

      expect((await openWs(application, ada, '/')).error?.message).toMatch(/40[13]/);
      expect(await (await openWs(application, ada, '/', allowed)).ask('who')).toEqual(ADA);
      expect(await (await openWs(application, undefined, '/', allowed)).ended()).toBe('unauthenticated');
    }
  });

  const allowRequest: ServerOptions['allowRequest'] = (request, done) => {
    done(null, isAllowed(request));
  };

  it.each<[string, Options, new (app: object) => IoAdapter]>([
    ['option of the gateway', { allowRequest }, IoAdapter],
    [
      'adapter',
      {},
      class extends IoAdapter {
        override createIOServer(port: number, options?: ServerOptions): Server {
          return super.createIOServer(port, { ...options!, allowRequest, cors: { origin: 'https://example.com' } });
        }
      },
    ],
  ])('allowRequest holds as well, as an %s', async (_, options, Adapter) => {
    await start([guarded(options)], { configure: (app) => app.useWebSocketAdapter(new Adapter(app)) });
    const ada = await application.loggedIn();

    expect((await openIo(application, ada)).refused).toBeDefined();
    expect(await (await openIo(application, ada, { headers: allowed })).ask('who')).toEqual(ADA);
    expect(await (await openIo(application, undefined, { headers: allowed })).ended()).toBe('unauthenticated');
  });
});

describe('a gateway', () => {
  it('is guarded by a global guard, unless it is public', async () => {
    const global = { provide: APP_GUARD, useClass: SessionGuard };
    await start([gateway({ path: '/guarded' }), gateway({ path: '/public' }, 0, Public())], {
      configure: byWs,
      providers: [global],
    });

    expect(await (await openWs(application, undefined, '/guarded')).ended()).toBe('unauthenticated');
    const visitor = await openWs(application, undefined, '/public');
    expect(await visitor.ask('anybody')).toBe(null);
  });

  itRefusesOverWs('may let everybody listen by a guard of its own, which refuses their messages', async () => {
    await start([gateway({}, 0, UseGuards(LenientGuard))], { configure: byWs, providers: [LenientGuard] });
    const visitor = await openWs(application);

    expect(visitor.isOpen).toBe(true);
    expect(await visitor.ask('who')).toMatchObject({ code: 'unauthenticated' });
  });

  itRefusesOverWs('asks for a fresh login when a message comes, and not when a client connects', async () => {
    await start([gateway({}, 0, RequireFreshLogin('5m', { once: true }))], {
      configure: byWs,
      providers: [FreshLoginGuard],
    });
    const ada = await application.loggedIn();
    const client = await openWs(application, ada);

    expect(await client.ask('who')).toEqual(ADA);
    expect(await client.ask('who')).toMatchObject({ code: 'fresh_login_required' });
    expect(await (await openWs(application)).ended()).toBe('unauthenticated');
  });

  it('closes a connection whose session has ended during the handshake', async () => {
    await start([gateway({}, 0, UseGuards(SlowGuard))], { configure: byWs, providers: [SlowGuard] });
    const ada = await application.loggedIn();
    const gate = application.app.get(Gates).named('handshake');

    const opening = openWs(application, ada);
    await gate.reached;
    await application.app.get(SessionRegistry).revokeAll('1');
    gate.open();

    expect(await (await opening).end()).toEqual({ code: 4401, reason: 'revoked' });
  });

  it('outlives a client that resets its connection during the handshake', async () => {
    application = await home.start({ providers: [SlowSerializer, LocalStrategy, guarded()] });
    const ada = await application.loggedIn();
    const gate = application.app.get(Gates).named('handshake');
    const { host, port } = new URL(application.url);
    const upgraded = new Promise<Socket>((resolve) => {
      (application.app.getHttpServer() as HttpServer).once('upgrade', (_: unknown, socket: Socket) => {
        resolve(socket);
      });
    });
    const client = connect(Number(port), '127.0.0.1');
    const head = [
      'GET /socket.io/?EIO=4&transport=websocket HTTP/1.1',
      `Host: ${host}`,
      'Connection: Upgrade',
      'Upgrade: websocket',
      'Sec-WebSocket-Version: 13',
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
      `Cookie: ${cookieOf(ada)}`,
    ];
    client.write([...head, '', ''].join('\r\n'));
    await gate.reached;

    client.resetAndDestroy();

    const socket = await upgraded;
    await eventually('the server to notice', () => socket.destroyed);
    gate.open();
    expect((await application.browser().get('/public')).status).toBe(200);
    expect(application.app.get(SessionConnections).count()).toBe(0);
  });

  it.each([
    ['nothing', undefined, 'Internal server error'],
    ['an exception without a body', new HttpException(null as never, 403), 'Internal server error'],
    ['a text that no close frame holds', new WsException({ code: 'odd', reason: 'odd '.repeat(50) }), 'odd'],
  ])('whose guard refuses by %s lets nobody in', async (_, refusal, text) => {
    OddGuard.refusal = refusal;
    const odd = () => gateway({}, 0, UseGuards(OddGuard));

    await start([odd()], { providers: [OddGuard] });
    expect((await openIo(application)).refused?.message).toBe(text);
    await start([odd()], { providers: [OddGuard], configure: byWs });
    const { code, reason } = await (await openWs(application)).end();
    expect([code, reason]).toEqual(text === 'odd' ? [4401, 'odd'] : [1013, 'unauthenticated']);
  });

  it('goes on asking whether the session lives after a handler has registered something, and released it', async () => {
    const chat = guarded();
    await start([chat], { configure: byWs });
    const client = await openWs(application, await application.loggedIn());
    const [served] = (application.app.get(chat).server as WsServer).clients;
    application.app.get(SessionConnections).register(served!, () => undefined)();

    application.clock.advance(YEAR);
    client.send('who');

    expect(await client.ended()).toBe('expired');
    expect(client.messages.filter(({ event }) => event === 'who')).toEqual([]);
  });

  itRefusesOverWs('on a path that is excluded has no session', async () => {
    await start([OpenGateway], { configure: byWs, options: { exclude: ['/'] } });
    const client = await openWs(application, await application.loggedIn());

    expect(await client.ask('fresh')).toMatchObject({ code: 'session_unavailable' });
    expect(application.app.get(SessionConnections).count()).toBe(0);
  });

  it('does not let a client of Socket.IO recover its state when its session has ended', async () => {
    await start([guarded({ connectionStateRecovery: {} })]);
    const ada = await application.loggedIn();
    const client = await openIo(application, ada);
    expect(await client.ask('who')).toEqual(ADA);

    client.drop();
    await eventually('the server to notice', () => application.app.get(SessionConnections).count() === 0);
    await application.app.get(SessionRegistry).revokeAll('1');

    expect(await client.ended()).toBe('revoked');
    expect(client.messages.filter(({ event }) => event !== 'who')).toEqual([]);
  });
});

describe('an application that closes', () => {
  it('tells clients of ws that it goes away', async () => {
    await start([guarded()], { configure: byWs });
    const client = await openWs(application, await application.loggedIn());

    await application.close();

    expect([1001, 1006]).toContain((await client.end()).code);
    expect(application.events.some(({ type }) => type === 'connection-closed')).toBe(false);
  });

  it('has clients of Socket.IO connect again by themselves', async () => {
    await start([guarded()]);
    const client = await openIo(application, await application.loggedIn());

    await application.close();

    await eventually('the client to try again', () => !client.isOpen && client.refused);
    expect(client.isIdle).toBe(false);
  });
});
