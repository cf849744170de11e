import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { eventually } from './eventually.js';
import type { RedisAccess } from './redis-access.js';

export interface RedisCommand {
  /** In lower case: `get`. */
  name: string;
  args: string[];
  /** Run by a Lua script, as a part of its one step. */
  inScript: boolean;
}

/** Reads along what redis-servers are asked, in the order in which it is carried out (`MONITOR`). */
export class RedisMonitor {
  private constructor(private readonly taps: readonly Tap[]) {}

  static async start(...servers: RedisAccess[]): Promise<RedisMonitor> {
    return new RedisMonitor(await Promise.all(servers.map((server) => Tap.start(server))));
  }

  /** What the servers were asked while the work went on, but for what keeps connections. */
  async during(work: () => Promise<unknown>): Promise<RedisCommand[]> {
    const starts = await this.#mark();
    await work();
    const ends = await this.#mark();
    return this.taps
      .flatMap(({ commands }, i) => commands.slice(starts[i]! + 1, ends[i]))
      .sort((a, b) => a.at - b.at)
      .map(({ at: _at, ...command }) => command)
      .filter(({ name }) => !['hello', 'client', 'ping'].includes(name));
  }

  stop(): void {
    for (const tap of this.taps) tap.stop();
  }

  #mark(): Promise<number[]> {
    return Promise.all(this.taps.map((tap) => tap.mark()));
  }
}

/** What one server was asked, and when by the machine's clock. */
class Tap {
  readonly commands: (RedisCommand & { at: number })[] = [];
  #markers = 0;

  private constructor(
    private readonly socket: Socket,
    private readonly port: number,
  ) {
    createInterface(socket).on('line', (line) => {
      const command = parse(line);
      if (command) this.commands.push(command);
    });
  }

  static async start({ port }: RedisAccess): Promise<Tap> {
    const socket = connect(port, '127.0.0.1');
    const ok = once(socket, 'data');
    socket.write('MONITOR\r\n');
    await ok;
    return new Tap(socket, port);
  }

  stop(): void {
    this.socket.destroy();
  }

  /** Has the server run a command of no effect; where it stands among the others when it has come through. */
  async mark(): Promise<number> {
    const marker = `marker-${++this.#markers}`;
    const socket = connect(this.port, '127.0.0.1');
    socket.end(`ECHO ${marker}\r\n`);
    socket.resume();
    const position = () => this.commands.findIndex(({ args }) => args[0] === marker);
    await eventually('the marker to be monitored', () => position() >= 0, { interval: 1 });
    return position();
  }
}

/** `+1339518083.107412 [0 127.0.0.1:60866] "set" "key" "value"`, with `lua` in place of the address within a script. */
function parse(line: string): (RedisCommand & { at: number }) | undefined {
  const [, at, source = '', rest = ''] = /^\+([\d.]+) \[\d+ ([^\]]+)\] (.*)$/.exec(line) ?? [];
  const [name, ...args] = Array.from(rest.matchAll(/"((?:[^"\\]|\\.)*)"/g), ([, word = '']) => word);
  return name === undefined
    ? undefined
    : { at: Number(at), name: name.toLowerCase(), args, inScript: source === 'lua' };
}
