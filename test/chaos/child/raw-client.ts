import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A client that does what no browser would: it decides itself when which byte goes out, and whether any is read. */
export class RawClient {
  readonly #socket: Socket;
  #received = '';

  private constructor(
    private readonly host: string,
    socket: Socket,
  ) {
    this.#socket = socket;
    socket.on('data', (chunk) => (this.#received += chunk.toString('latin1')));
    socket.on('error', () => undefined);
  }

  static async connect(url: string): Promise<RawClient> {
    const { hostname, port, host } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new RawClient(host, socket);
  }

  /** A request as it goes over the wire. */
  request(method: string, path: string, cookie: string, body?: object): string {
    const json = body === undefined ? '' : JSON.stringify(body);
    const type = body === undefined ? '' : `Content-Type: application/json\r\nContent-Length: ${json.length}\r\n`;
    return `${method} ${path} HTTP/1.1\r\nHost: ${this.host}\r\nCookie: ${cookie}\r\n${type}\r\n${json}`;
  }

  send(text: string): void {
    this.#socket.write(text);
  }

  async sendByteByByte(text: string, pause: number): Promise<void> {
    this.#socket.setNoDelay(true);
    for (const byte of text) {
      this.#socket.write(byte);
      await sleep(pause);
    }
  }

  /** What has come so far. */
  get received(): string {
    return this.#received;
  }

  get status(): number {
    return Number(/^HTTP\/1.1 (\d+)/.exec(this.#received)?.[1] ?? 0);
  }

  /** Reads nothing more, so that the server's answer gets stuck. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  hangUp(): void {
    this.#socket.destroy();
  }
}
