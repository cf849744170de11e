import { type Server, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { SessionConnections, SessionMiddleware, type SessionRequest } from '../../lib/index.js';
import type { TestApplication } from './application.js';

/** Gives an application a bare WebSocket server that registers each connection. */
export function serveRegisteredSockets({ app }: TestApplication): void {
  const { use } = app.get(SessionMiddleware);
  const connections = app.get(SessionConnections);
  const sockets = new WebSocketServer({ noServer: true });
  (app.getHttpServer() as Server).on('upgrade', (request: SessionRequest, socket: Socket, head: Buffer) => {
    socket.on('error', () => socket.destroy());
    use(request, new ServerResponse(request), () => {
      sockets.handleUpgrade(request, socket, head, (client: WebSocket) => {
        const release = connections.register(request, ({ reason }) => {
          client.close(4401, reason);
        });
        client.once('close', release);
      });
    });
  });
}
