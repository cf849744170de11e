import { setTimeout as sleep } from 'node:timers/promises';
import { DelayProxy } from '../support/delay-proxy.js';
import { RedisServer } from '../support/redis-server.js';
import type { Stage, Trouble } from './stages.js';

/** One server that forgets nothing it has acknowledged, behind a line that breaks. */
export async function singleStage(): Promise<Stage> {
  const server = await RedisServer.start({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] });
  const line = await DelayProxy.start({ port: server.port });

  const trouble = (name: string, strike: (pause: number) => Promise<void> | void): Trouble => ({
    name,
    strike: async (random) => {
      await strike(random.between(100, 1_500));
      return undefined;
    },
  });
  return {
    redis: { url: `redis://127.0.0.1:${line.port}` },
    troubles: [
      trouble('the server hangs', async (pause) => {
        server.pause();
        await sleep(pause);
        server.resume();
      }),
      trouble('the server is killed and comes back', async (pause) => {
        await server.kill();
        await sleep(pause);
        await server.restart();
      }),
      trouble('the connections are reset', () => line.resetAll()),
      trouble('the line carries nothing', async (pause) => {
        line.pause();
        await sleep(pause);
        line.resume();
      }),
      trouble('the line forgets its connections', () => line.forget()),
      trouble('the line is slow', async (pause) => {
        line.delay = 60;
        await sleep(pause);
        line.delay = 0;
      }),
      trouble('the line refuses and resets', async (pause) => {
        line.refuse();
        line.resetAll();
        await sleep(pause);
        await line.accept();
      }),
    ],
    losses: () => [],
    servers: [], // Behind a line that has forgotten connections, it knows of some that are none any more.
    async stop() {
      await line.close();
      await server.stop();
    },
  };
}
