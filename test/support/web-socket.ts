import { WebSocket } from 'ws';
import type { TestApplication } from './application.js';
import type { Browser } from './browser.js';
import { cookieOf } from './devices.js';
import { eventually } from './eventually.js';

/** How a connection was closed. */
export interface Closed {
  code: number;
  reason: string;
}

/** A browser's WebSocket, which notes what it hears. */
export class TestSocket {
  readonly messages: { event: string; data: unknown }[] = [];
  closed: Closed | undefined;
  error: Error | undefined;
  readonly #socket: WebSocket;

  private constructor(url: string, headers: Record<string, string>) {
    this.#socket = new WebSocket(url, { headers });
    this.#socket.on('message', (data: Buffer) => {
      this.messages.push(JSON.parse(data.toString()) as { event: string; data: unknown });
    });
    this.#socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    this.#socket.on('error', (error) => {
      this.error = error;
    });
  }

  /** Opens one, with the cookies of a browser if there is one. Resolves when it is open or refused. */
  static async open(
    { url }: Pick<TestApplication, 'url'>,
    visitor?: Browser | string,
    path = '/',
    headers: Record<string, string> = {},
  ): Promise<TestSocket> {
    const cookie = typeof visitor === 'string' || visitor === undefined ? visitor : cookieOf(visitor);
    const whole = { ...(cookie !== undefined && { cookie }), ...headers };
    const socket = new TestSocket(`${url.replace(/^http/, 'ws')}${path}`, whole);
    await eventually('the socket to open', () => socket.isOpen || socket.closed);
    return socket;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  send(event: string, data: unknown = {}): void {
    this.#socket.send(JSON.stringify({ event, data }));
  }

  /** Sends a message, and resolves with the first one that comes after it. */
  async ask(event: string, data: unknown = {}): Promise<unknown> {
    const heard = this.messages.length;
    this.send(event, data);
    const reply = await eventually(`a reply to ${event}`, () => this.messages[heard]);
    return reply.data;
  }

  /** Resolves when the server has closed it. */
  end(): Promise<Closed> {
    return eventually('the socket to be closed', () => this.closed);
  }

  async ended(): Promise<string> {
    return (await this.end()).reason;
  }

  close(): void {
    this.#socket.terminate();
  }
}
