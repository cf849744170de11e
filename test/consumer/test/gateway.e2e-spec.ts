import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { Catch, type INestApplication, type Type, UseFilters, UseGuards } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { Test } from '@nestjs/testing';
import { BaseWsExceptionFilter, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';
import { CurrentUser, Public, SessionGuard } from 'nestjs-session-auth';
import { io, type Socket } from 'socket.io-client';
import { WebSocket } from 'ws';
import { AppModule } from './../src/app.module';
import { ADA, type User } from './../src/auth/user';

const { version } = JSON.parse(readFileSync('node_modules/@nestjs/websockets/package.json', 'utf8')) as {
  version: string;
};

class Handlers {
  @UseGuards(SessionGuard)
  @SubscribeMessage('who')
  who(@CurrentUser() user: User) {
    return { event: 'who', data: user };
  }
  @Public()
  @SubscribeMessage('anybody')
  anybody(@CurrentUser('name') name: string | undefined) {
    return { event: 'anybody', data: name ?? null };
  }
}

@WebSocketGateway()
@UseGuards(SessionGuard)
class GuardedGateway extends Handlers {}

@WebSocketGateway()
class OpenGateway extends Handlers {}

/** The filter of docs/connections.md. */
@Catch()
class SendingFilter extends BaseWsExceptionFilter {
  handleError(client: WebSocket, exception: unknown, cause: { pattern: unknown; data: unknown }) {
    const emit = (event: string, data: unknown) => client.send(JSON.stringify({ event, data }));
    super.handleError({ emit }, exception, cause);
  }
}

@WebSocketGateway()
@UseFilters(new SendingFilter())
class SendingGateway extends Handlers {}

type Message = { event: string; data: unknown };
const UNAUTHENTICATED = expect.objectContaining({ code: 'unauthenticated' });

describe(`gateways on @nestjs/websockets ${version} (e2e)`, () => {
  let app: INestApplication;
  let url: string;
  const clients: { close(): void }[] = [];

  async function start(gateway: Type, overWs: boolean) {
    const moduleFixture = await Test.createTestingModule({ imports: [AppModule], providers: [gateway] }).compile();
    app = moduleFixture.createNestApplication();
    if (overWs) app.useWebSocketAdapter(new WsAdapter(app));
    await app.listen(0, '127.0.0.1');
    url = `http://127.0.0.1:${(app.getHttpServer().address() as AddressInfo).port}`;
  }

  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    await app.close();
  });

  const post = (path: string, headers: Record<string, string>, body?: object) =>
    fetch(url + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
  async function logIn() {
    const login = await post('/login', {}, { username: 'ada', password: 'lovelace' });
    return { cookie: login.headers.getSetCookie()[0]?.split(';')[0] ?? '' };
  }

  function openWs(headers = {}) {
    const client = new WebSocket(url.replace('http', 'ws'), { headers });
    clients.push(client);
    return client;
  }
  const messageOf = async (client: WebSocket) => JSON.parse(String((await once(client, 'message'))[0])) as Message;
  const say = (client: WebSocket, event: string) => client.send(JSON.stringify({ event, data: {} }));
  const closeOf = async (client: WebSocket) => {
    const [code, reason] = (await once(client, 'close')) as [number, Buffer];
    return { code, reason: reason.toString() };
  };

  it('know who connects by ws, turn strangers away, and end with the session', async () => {
    await start(GuardedGateway, true);
    const session = await logIn();
    const client = openWs(session);
    await once(client, 'open');
    say(client, 'who');
    expect(await messageOf(client)).toEqual({ event: 'who', data: ADA });

    expect(await closeOf(openWs())).toEqual({ code: 4401, reason: 'unauthenticated' });
    const closed = closeOf(client);
    await post('/logout', session);
    expect(await closed).toEqual({ code: 4401, reason: 'logged_out' });
  }, 60_000);

  const openIo = (headers = {}) => {
    const client = io(url, { forceNew: true, extraHeaders: headers });
    clients.push(client);
    return client;
  };
  const heard = <T>(client: Socket, event: string) => new Promise<T>((resolve) => client.once(event, resolve));

  it('know who connects by Socket.IO, turn strangers away, and end with the session', async () => {
    await start(GuardedGateway, false);
    const session = await logIn();
    const client = openIo(session);
    await heard(client, 'connect');
    client.emit('who', {});
    expect(await heard(client, 'who')).toEqual(ADA);

    expect(await heard(openIo(), 'connect_error')).toMatchObject({ data: { code: 'unauthenticated' } });
    const [told, ended] = [heard(client, 'exception'), heard(client, 'disconnect')];
    await post('/logout', session);
    expect(await told).toEqual({ code: 'unauthenticated', reason: 'logged_out' });
    expect(await ended).toBe('io server disconnect');
  }, 60_000);

  it('refuse messages by Socket.IO with an object', async () => {
    await start(OpenGateway, false);
    const client = openIo();
    await heard(client, 'connect');
    client.emit('who', {});
    expect(await heard(client, 'exception')).toEqual(UNAUTHENTICATED);
  }, 60_000);

  it.each([
    ['as Nest does it', OpenGateway, !version.startsWith('11.')], // Nest 11 calls `client.emit()`, which sends nothing.
    ['by a filter that sends', SendingGateway, true],
  ] as const)(
    'refuse messages by ws, %s',
    async (_, gateway, isSent) => {
      await start(gateway, true);
      const client = openWs();
      await once(client, 'open');
      say(client, 'who');
      if (isSent) {
        expect(await messageOf(client)).toEqual({ event: 'exception', data: UNAUTHENTICATED });
      } else {
        await fetch(`${url}/me`); // By then it has been refused.
      }
      say(client, 'anybody');
      expect(await messageOf(client)).toEqual({ event: 'anybody', data: null });
    },
    60_000,
  );
});
