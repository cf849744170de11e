import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
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

it('keeps no socket that has closed, however many come and go', async () => {
  const sockets = new EndOfSockets();
  const collect = garbageCollector();
  const closed: WeakRef<Socket>[] = [];
  for (let i = 0; i < 50; i++) {
    const socket = open(sockets);
    await once(socket, 'connect');
    socket.destroy();
    await once(socket, 'close');
    closed.push(new WeakRef(socket));
  }

  await eventually(
    'all but the last to be collected',
    () => {
      collect();
      return closed.slice(0, -1).every((socket) => socket.deref() === undefined);
    },
    { timeout: 20_000, interval: 50 },
  );
  sockets.end();
});

/** V8's own, which is not to be had without asking for it. */
function garbageCollector(): () => void {
  setFlagsFromString('--expose-gc');
  return runInNewContext('gc') as () => void;
}
