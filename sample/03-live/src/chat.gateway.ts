import {
  ConnectedSocket,
  MessageBody,
  type OnGatewayConnection,
  type OnGatewayDisconnect,
  SubscribeMessage,
  WebSocketGateway,
  WebSocketServer,
} from '@nestjs/websockets';
import { CurrentUser, SessionAuthService } from 'nestjs-session-auth';
import type { Server, Socket } from 'socket.io';
import { Presence } from './presence.js';
import type { User } from './users.service.js';
import { deviceInWords } from './words.js';

const LONGEST = 500;

/**
 * A room for all who are logged in. Nothing here knows of sessions that end: the connection is closed then, and its page
 * is told why.
 */
@WebSocketGateway()
export class ChatGateway implements OnGatewayConnection, OnGatewayDisconnect {
  @WebSocketServer() private readonly server!: Server;

  constructor(
    private readonly auth: SessionAuthService,
    private readonly presence: Presence,
  ) {}

  handleConnection(client: Socket): void {
    this.presence.changed(this.auth.current(client).userId);
  }

  handleDisconnect(): void {
    this.presence.changed();
  }

  @SubscribeMessage('say')
  say(@CurrentUser() { name }: User, @ConnectedSocket() client: Socket, @MessageBody() text: unknown): void {
    if (typeof text === 'string' && text.trim() !== '') {
      const from = `${name}, ${deviceInWords(this.auth.current(client).device)}`;
      this.server.emit('said', { from, text: text.slice(0, LONGEST) });
    }
  }
}
