import type { INestApplication } from '@nestjs/common';
import { WsAdapter } from '@nestjs/platform-ws';
import { MessageBody, SubscribeMessage, WebSocketGateway } from '@nestjs/websockets';

/** The gateway that all applications have with the flag `connections`. */
@WebSocketGateway()
export class LiveGateway {
  @SubscribeMessage('say')
  say(@MessageBody() text: string): { event: string; data: string } {
    return { event: 'said', data: text };
  }
}

/** Over `ws`, or over Socket.IO, which Nest serves by itself. */
export function serveGateways(app: INestApplication, flags: readonly string[]): void {
  if (!flags.includes('socket.io')) app.useWebSocketAdapter(new WsAdapter(app));
}
