import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

export interface DelayProxyOptions {
  host?: string;
  port: number;
  /** Milliseconds that bytes take each way; may be changed later. Default 0. */
  delay?: number;
}

/** A slow, breakable line to `host:port`: bytes keep their order, and no more is lost than a test asks for. */
export class DelayProxy {
  readonly host = '127.0.0.1';
  #server?: Server;
  #port = 0;
  #paused = false;
  readonly #lines = new Set<Line>();
  readonly #sockets = new Set<Socket>();

  private constructor(
    private readonly target: { host: string; port: number },
    public delay: number,
  ) {}

  static async start({ host = '127.0.0.1', port, delay = 0 }: DelayProxyOptions): Promise<DelayProxy> {
    const proxy = new DelayProxy({ host, port }, delay);
    await proxy.accept();
    return proxy;
  }

  get port(): number {
    return this.#port;
  }

  /** How many connections are open through it. */
  get connections(): number {
    return this.#lines.size / 2;
  }

  /** How many chunks are on their way. */
  get held(): number {
    return [...this.#lines].reduce((sum, line) => sum + line.held, 0);
  }

  /** Delivers nothing and drops nothing until `resume()`. */
  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const line of this.#lines) line.deliver();
  }

  /** Open connections stay open and carry nothing any more, as behind a router that forgot them; new ones work. */
  forget(): void {
    for (const line of this.#lines) line.forget();
  }

  /** New connections go to another server on this host; open ones stay where they are, as behind a name in DNS. */
  leadTo(port: number): void {
    this.target.port = port;
  }

  /** New connections are refused; open ones go on. */
  refuse(): void {
    this.#server?.close();
    this.#server = undefined;
  }

  /** Takes new connections again, on the same port. */
  async accept(): Promise<void> {
    if (this.#server) return;
    this.#server = createServer({ allowHalfOpen: true }, (socket) => this.#connect(socket));
    this.#server.listen(this.#port, this.host);
    await once(this.#server, 'listening');
    this.#port = (this.#server.address() as AddressInfo).port;
  }

  /** Resets every open connection (RST) on both sides; what was on its way is lost. */
  resetAll(): void {
    for (const socket of this.#sockets) reset(socket);
  }

  async close(): Promise<void> {
    this.refuse();
    // One that was reset while it was handed over has closed before anybody listened.
    const open = [...this.#sockets].filter((socket) => !socket.closed);
    const closed = open.map((socket) => once(socket, 'close'));
    for (const socket of open) socket.destroy();
    await Promise.all(closed);
  }

  #connect(client: Socket): void {
    const server = connect({ ...this.target, allowHalfOpen: true });
    const lines = [this.#line(client, server), this.#line(server, client)];
    for (const [socket, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(socket);
      socket.setNoDelay(true);
      socket.on('error', () => reset(other));
      socket.on('close', () => {
        this.#sockets.delete(socket);
      });
    }
    client.on('close', () => {
      for (const line of lines) this.#lines.delete(line);
    });
  }

  #line(from: Socket, to: Socket): Line {
    const line = new Line(to, () => this.#paused);
    const put = (chunk: Buffer | undefined) => line.put(chunk, performance.now() + this.delay);
    from.on('data', put);
    from.on('end', () => put(undefined));
    this.#lines.add(line);
    return line;
  }
}

/** Node cannot reset a socket that is shutting down, and would leave it open for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** One direction of one connection: what arrives first is delivered first, whatever the delay has become since. */
class Line {
  readonly #queue: { chunk: Buffer | undefined; due: number }[] = [];
  #forgotten = false;
  #timer?: NodeJS.Timeout;

  constructor(
    private readonly to: Socket,
    private readonly isPaused: () => boolean,
  ) {}

  get held(): number {
    return this.#queue.length;
  }

  forget(): void {
    this.#forgotten = true;
    this.#queue.length = 0;
  }

  /** `undefined` is the end of the stream. */
  put(chunk: Buffer | undefined, due: number): void {
    if (this.#forgotten) return;
    this.#queue.push({ chunk, due });
    this.deliver();
  }

  deliver(): void {
    clearTimeout(this.#timer);
    for (let head = this.#queue[0]; head && !this.isPaused() && !this.to.destroyed; head = this.#queue[0]) {
      const wait = head.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.deliver(), wait);
        return;
      }
      this.#queue.shift();
      if (head.chunk) this.to.write(head.chunk);
      else this.to.end();
    }
  }
}
