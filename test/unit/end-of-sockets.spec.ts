import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { EndOfSockets } from '../../lib/redis/end-of-sockets.js';
import { eventually } from '../support/eventually.js';

const accepted: Socket[] = [];
let server: Server;

beforeAll(async () => {
  server = createServer((socket) => {
    accepted.push(socket);
    socket.on('error', () => undefined);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterAll(() => {
  for (const socket of accepted) socket.destroy();
  server.close();
});

/** A socket as redis opens it: its options are Node's, and the signal is among them. */
function open(sockets: EndOfSockets): Socket {
  const { port } = server.address() as AddressInfo;
  const socket = connect({ port, host: '127.0.0.1', signal: sockets } as unknown as { port: number });
  socket.on('error', () => undefined);
  return socket;
}

it('ends sockets that are open, that are being opened and that are opened yet, and no others', async () => {
  const [sockets, others] = [new EndOfSockets(), new EndOfSockets()];
  const [connected, other] = [open(sockets), open(others)];
  await Promise.all([once(connected, 'connect'), once(other, 'connect')]);

  const opening = open(sockets);
  sockets.end();
  const late = open(sockets);

  await eventually('all to be closed', () => [connected, opening, late].every(({ destroyed }) => destroyed));
  expect(other.destroyed).toBe(false);
  others.end();
  await eventually('the other to be closed', () => other.destroyed);
});
