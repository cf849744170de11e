import { DelayProxy } from '../../test/support/delay-proxy.js';

/* `proxy.js <port> <milliseconds>`: the slow line to Redis, in a process of its own, so that no application pays for it. */

const [, , port, delay] = process.argv;
const proxy = await DelayProxy.start({ port: Number(port), delay: Number(delay) });
process.on('disconnect', () => process.exit());
process.send?.(proxy.port);
