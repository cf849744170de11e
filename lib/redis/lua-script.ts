import { createHash } from 'node:crypto';
import type { RedisCommands } from './redis.options.js';

/** A script that Redis runs as one step, known to the server by its hash after the first time. */
export class LuaScript {
  private readonly sha1: string;

  constructor(private readonly source: string) {
    this.sha1 = createHash('sha1').update(source).digest('hex');
  }

  async run(client: RedisCommands, keys: string[], args: (string | number)[]): Promise<unknown> {
    const options = { keys, arguments: args.map(String) };
    try {
      return await client.evalSha(this.sha1, options);
    } catch (error) {
      if (error instanceof Error && error.message.startsWith('NOSCRIPT')) {
        return client.eval(this.source, options);
      }
      throw error;
    }
  }
}
