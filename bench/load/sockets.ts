import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { AppProcess } from '../stage/app-process.js';

/** Handshakes at the same time. */
const AT_ONCE = 50;

/** What is sent by a client of each protocol, and what is expected. Socket.IO: Engine.IO's packets 4, of its type 2. */
const PROTOCOLS = {
  ws: {
    path: '/',
    message: (event: string, text: string) => JSON.stringify({ event, data: text }),
  },
  'socket.io': {
    path: '/socket.io/?EIO=4&transport=websocket',
    message: (event: string, text: string) => `42${JSON.stringify([event, text])}`,
  },
};
export type Protocol = keyof typeof PROTOCOLS;

/** A browser's socket. */
export class LiveSocket {
  /** When it was closed, by `performance.now()`. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #opened: Promise<unknown>;

  private constructor(
    url: string,
    cookie: string,
    private readonly protocol: Protocol,
  ) {
    const { path } = PROTOCOLS[protocol];
    this.#socket = new WebSocket(url.replace('http', 'ws') + path, { headers: { cookie }, perMessageDeflate: false });
    this.#socket.on('error', () => undefined);
    this.#opened = protocol === 'ws' ? once(this.#socket, 'open') : this.#join();
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        resolve(performance.now());
      });
    });
  }

  /** @throws Error when it is not let in */
  static async open({ url }: AppProcess, cookie: string, protocol: Protocol = 'ws'): Promise<LiveSocket> {
    const live = new LiveSocket(url, cookie, protocol);
    await live.#opened;
    await live.ask('hello');
    return live;
  }

  /** One for each cookie. */
  static async openAll(app: AppProcess, cookies: readonly string[], protocol?: Protocol): Promise<LiveSocket[]> {
    const sockets: LiveSocket[] = [];
    for (let first = 0; first < cookies.length; first += AT_ONCE) {
      const some = cookies.slice(first, first + AT_ONCE);
      sockets.push(...(await Promise.all(some.map((cookie) => LiveSocket.open(app, cookie, protocol)))));
    }
    return sockets;
  }

  /** Sends a guarded message, and waits for the reply. */
  async ask(text: string): Promise<void> {
    const replied = once(this.#socket, 'message');
    const { message } = PROTOCOLS[this.protocol];
    this.#socket.send(message('say', text));
    const reply = String((await replied)[0]);
    if (reply !== message('said', text)) throw new Error(`A message was refused: ${reply}`);
  }

  /** Socket.IO: joins the namespace `/` after the handshake, and replies to pings from then on. */
  #join(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#socket.once('error', reject);
      this.#socket.on('message', (data: Buffer) => {
        const packet = data.toString();
        if (packet.startsWith('0')) this.#socket.send('40');
        else if (packet.startsWith('40')) resolve();
        else if (packet === '2') this.#socket.send('3');
      });
    });
  }

  close(): void {
    this.#socket.terminate();
  }
}
