import { once } from 'node:events';
import { WebSocket } from 'ws';
import type { AppProcess } from '../stage/app-process.js';

/** Handshakes at the same time. */
const AT_ONCE = 50;

/** A browser's socket. */
export class LiveSocket {
  /** When it was closed, by `performance.now()`. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;

  private constructor(url: string, cookie: string) {
    this.#socket = new WebSocket(url.replace('http', 'ws'), { headers: { cookie }, perMessageDeflate: false });
    this.#socket.on('error', () => undefined);
    this.closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        resolve(performance.now());
      });
    });
  }

  /** @throws Error when it is not let in */
  static async open({ url }: AppProcess, cookie: string): Promise<LiveSocket> {
    const live = new LiveSocket(url, cookie);
    await once(live.#socket, 'open');
    await live.ask('hello');
    return live;
  }

  /** One for each cookie. */
  static async openAll(app: AppProcess, cookies: readonly string[]): Promise<LiveSocket[]> {
    const sockets: LiveSocket[] = [];
    for (let first = 0; first < cookies.length; first += AT_ONCE) {
      const some = cookies.slice(first, first + AT_ONCE);
      sockets.push(...(await Promise.all(some.map((cookie) => LiveSocket.open(app, cookie)))));
    }
    return sockets;
  }

  /** Sends a guarded message, and waits for the reply. */
  async ask(text: string): Promise<void> {
    const replied = once(this.#socket, 'message');
    this.#socket.send(JSON.stringify({ event: 'say', data: text }));
    const reply = String((await replied)[0]);
    if (reply !== JSON.stringify({ event: 'said', data: text })) throw new Error(`A message was refused: ${reply}`);
  }

  close(): void {
    this.#socket.terminate();
  }
}
