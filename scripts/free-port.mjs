import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

// Below the ports that systems give to outgoing connections. A client that keeps trying to reach a server that is gone may
// be given that server's own port, and then nobody can listen there any more.
const LOWEST = 15_000;
const BEYOND = 32_000;

export async function freePort() {
  for (;;) {
    const port = randomInt(LOWEST, BEYOND);
    if (await isFree(port)) return port;
  }
}

/** @param {number} port */
async function isFree(port) {
  const server = createServer().listen(port);
  try {
    await once(server, 'listening');
  } catch {
    return false; // Somebody else listens there.
  }
  server.close();
  await once(server, 'close');
  return true;
}
