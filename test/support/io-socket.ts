import { io, type Socket } from 'socket.io-client';
import type { TestApplication } from './application.js';
import type { Browser } from './browser.js';
import { cookieOf } from './devices.js';
import { eventually } from './eventually.js';

interface OpenOptions {
  transports?: string[];
  upgrade?: boolean;
  /** The namespace. */
  path?: string | undefined;
  headers?: Record<string, string>;
}

/** A browser's client of Socket.IO, which notes what it hears. */
export class TestIoSocket {
  readonly messages: { event: string; data: unknown }[] = [];
  /** What the server has told of an end, and how Socket.IO calls that. */
  disconnected: string | undefined;
  refused: { message: string; data?: { code?: string; reason?: string; message?: string } } | undefined;

  private constructor(private readonly socket: Socket) {
    socket.onAny((event: string, data: unknown) => {
      this.messages.push({ event, data });
    });
    socket.on('disconnect', (reason) => {
      this.disconnected = reason;
    });
    socket.on('connect_error', (error: Error) => {
      this.refused = error;
    });
  }

  /** Opens one, with the cookies of a browser if there is one. Resolves when it is open or refused. */
  static async open(
    { url }: Pick<TestApplication, 'url'>,
    visitor?: Browser | string,
    { path = '/', headers = {}, ...options }: OpenOptions = {},
  ): Promise<TestIoSocket> {
    const cookie = typeof visitor === 'string' || visitor === undefined ? visitor : cookieOf(visitor);
    const extraHeaders = { ...(cookie !== undefined && { cookie }), ...headers };
    const socket = new TestIoSocket(io(url + path, { ...options, extraHeaders, forceNew: true }));
    await eventually('the socket to open', () => socket.isOpen || socket.refused || socket.disconnected);
    return socket;
  }

  /** The same connection, in another namespace. */
  async alsoIn(path: string): Promise<TestIoSocket> {
    const socket = new TestIoSocket(this.socket.io.socket(path));
    await eventually('the socket to open', () => socket.isOpen || socket.refused || socket.disconnected);
    return socket;
  }

  /** Loses its connection, and comes again by itself. */
  drop(): void {
    this.socket.io.engine.close();
  }

  get isOpen(): boolean {
    return this.socket.connected;
  }

  /** It does not try to connect again. */
  get isIdle(): boolean {
    return !this.socket.active;
  }

  send(event: string, data: unknown = {}): void {
    this.socket.emit(event, data);
  }

  /** Sends a message, and resolves with the first one that comes after it. */
  async ask(event: string, data: unknown = {}): Promise<unknown> {
    const heard = this.messages.length;
    this.send(event, data);
    const reply = await eventually(`a reply to ${event}`, () => this.messages[heard]);
    return reply.data;
  }

  async ended(): Promise<string> {
    await eventually('the socket to end', () => !this.isOpen && this.isIdle);
    const last = this.messages.at(-1);
    const told =
      last?.event === 'exception'
        ? (last.data as { code?: string; reason?: string; message?: string })
        : this.refused?.data;
    return told?.reason ?? told?.code ?? told?.message ?? this.refused?.message ?? this.disconnected ?? '';
  }

  close(): void {
    this.socket.close();
  }
}
