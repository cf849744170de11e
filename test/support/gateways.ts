import {
  type ExecutionContext,
  type HttpException,
  type INestApplication,
  Injectable,
  UseGuards,
} from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
} from '@nestjs/websockets';
import type { Server } from 'socket.io';
import type { WebSocketServer as WsServer } from 'ws';
import {
  type Carrier,
  CurrentSession,
  CurrentUser,
  PassiveRoute,
  Public,
  RequireFreshLogin,
  SessionAuthService,
  SessionGuard,
} from '../../lib/index.js';
import type { TestApplication, TestApplicationOptions, User } from './application.js';
import { TestIoSocket } from './io-socket.js';
import { TestSocket } from './web-socket.js';

/** What most tests ask of a gateway. Each reply has the event of its message. */
@Injectable()
export abstract class ChatHandlers implements OnGatewayConnection {
  @WebSocketServer() server!: Server | WsServer;
  /** How many clients Nest has connected to this gateway. */
  connected = 0;

  constructor(readonly sessionAuth: SessionAuthService) {}

  handleConnection() {
    this.connected++;
  }

  @SubscribeMessage('who')
  who(@CurrentUser() user: User) {
    return reply('who', user);
  }
  @SubscribeMessage('passive')
  @PassiveRoute()
  passive(@CurrentUser('name') name: string) {
    return reply('passive', name);
  }
  @Public()
  @SubscribeMessage('anybody')
  anybody(@CurrentUser('name') name: string | undefined) {
    return reply('anybody', name ?? null);
  }
  @SubscribeMessage('session')
  session(@CurrentSession() session: Record<string, unknown> & { nested?: object }) {
    const isFrozen = Object.isFrozen(session) && (!session.nested || Object.isFrozen(session.nested));
    return reply('session', { ...session, isFrozen });
  }
  @SubscribeMessage('fresh')
  @RequireFreshLogin('5m')
  fresh() {
    return reply('fresh', 'passed');
  }
  @SubscribeMessage('once')
  @RequireFreshLogin('5m', { once: true })
  once() {
    return reply('once', 'passed');
  }
  @SubscribeMessage('login')
  async login(@ConnectedSocket() client: Carrier, @MessageBody() user: User) {
    await this.sessionAuth.logIn(client, user);
    return reply('login', 'passed');
  }
  @SubscribeMessage('step-up')
  async stepUp(@ConnectedSocket() client: Carrier) {
    await this.sessionAuth.reauthenticate(client);
    return reply('step-up', 'passed');
  }
  @SubscribeMessage('logout')
  async logout(@ConnectedSocket() client: Carrier) {
    await this.sessionAuth.logOut(client);
  }
  @SubscribeMessage('current')
  current(@ConnectedSocket() client: Carrier) {
    return reply('current', this.sessionAuth.current(client));
  }
}

function reply<T>(event: string, data: T) {
  return { event, data };
}

@WebSocketGateway()
@UseGuards(SessionGuard)
export class GuardedGateway extends ChatHandlers {}

@WebSocketGateway()
export class OpenGateway extends ChatHandlers {}

/** Lets visitors listen, too. */
@Injectable()
export class LenientGuard extends SessionGuard {
  protected override async handleDenied(reason: HttpException, context: ExecutionContext): Promise<boolean> {
    return context.switchToWs().getPattern() === 'connection' || super.handleDenied(reason, context);
  }
}

/** A client's end of a connection, whatever it speaks. */
export interface TestClient {
  readonly isOpen: boolean;
  readonly messages: readonly { event: string; data: unknown }[];
  send(event: string, data?: unknown): void;
  ask(event: string, data?: unknown): Promise<unknown>;
  /** Resolves with the reason when the server has ended it for good. */
  ended(): Promise<string>;
  close(): void;
}

/** What gateways speak, and how a test connects to one. */
export interface Transport {
  name: string;
  configure(app: INestApplication): void;
  open(application: Pick<TestApplication, 'url'>, visitor?: Visitor, path?: string): Promise<TestClient>;
}
type Visitor = Parameters<typeof TestSocket.open>[1];

const byIo = (transports: string[], upgrade: boolean): Transport['open'] => {
  return (application, visitor, path) => TestIoSocket.open(application, visitor, { transports, upgrade, path });
};

export const TRANSPORTS: Transport[] = [
  {
    name: 'ws',
    configure: (app) => app.useWebSocketAdapter(new WsAdapter(app)),
    open: (application, visitor, path) => TestSocket.open(application, visitor, path),
  },
  { name: 'Socket.IO by websocket', configure: () => undefined, open: byIo(['websocket'], false) },
  { name: 'Socket.IO by polling', configure: () => undefined, open: byIo(['polling'], false) },
  { name: 'Socket.IO, upgraded', configure: () => undefined, open: byIo(['polling', 'websocket'], true) },
];

export type GatewayOptions = Pick<TestApplicationOptions, 'options' | 'providers' | 'platform'>;
