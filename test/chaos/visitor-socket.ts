import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import type { SocketLife } from './history.js';

/** What a server says of a guarded message: who the user is, or why it is refused. */
interface Reply {
  user?: string;
  code?: string;
  reason?: string;
  statusCode?: number;
}

/** How the first message was answered, as a request would be: 200, 401, 503, or 0 where nothing came. */
export interface Greeting {
  readonly status: number;
  readonly named?: string;
  readonly why?: string;
}

/** Longest wait for a reply, in milliseconds: one that hangs would keep its visitor for ever. */
const PATIENCE = 5_000;

/** A visitor's WebSocket. */
export class VisitorSocket {
  readonly life: SocketLife;
  readonly #socket: WebSocket;
  readonly #replies: Reply[] = [];
  #error = '';

  constructor(url: string, cookie: string, who: Pick<SocketLife, 'visitor' | 'app' | 'handle'>) {
    this.life = { ...who, start: performance.now(), named: [] };
    this.#socket = new WebSocket(url.replace(/^http/, 'ws'), { headers: { cookie: `sid=${cookie}` } });
    this.#socket.on('message', (text: Buffer) => {
      const { user } = this.#note(JSON.parse(text.toString()) as { data: Reply });
      if (user !== undefined) this.life.named.push(user);
    });
    this.#socket.on('close', (code, reason) => {
      this.life.closed ??= { at: performance.now(), code, reason: reason.toString() };
    });
    this.#socket.on('error', (error) => {
      this.#error = String(error);
    });
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  /** Resolves when it is open, or never will be. */
  async opened(): Promise<void> {
    while (this.#socket.readyState === WebSocket.CONNECTING) await sleep(5);
  }

  /** Sends a guarded message, and resolves with what it was told. */
  async ask(): Promise<Greeting> {
    const heard = this.#replies.length;
    const since = performance.now();
    if (this.isOpen) this.#socket.send(JSON.stringify({ event: 'who', data: {} }));
    const isWaiting = () => this.life.closed === undefined && this.#replies.length === heard;
    while (isWaiting() && performance.now() - since < PATIENCE) await sleep(5);
    const reply = this.#replies[heard];
    if (reply?.user !== undefined) return { status: 200, named: reply.user };
    if (reply !== undefined) return { status: reply.statusCode ?? 500, why: reply.reason ?? reply.code };
    const { closed } = this.life;
    const status = { 4401: 401, 1013: 503 }[closed?.code ?? 0] ?? 0;
    return { status, why: closed === undefined ? `no reply ${this.#error}` : `${closed.code} ${closed.reason}` };
  }

  /** The visitor goes. */
  close(): void {
    this.life.left ??= this.life.closed === undefined ? performance.now() : undefined;
    this.#socket.terminate();
  }

  #note({ data }: { data: Reply }): Reply {
    this.#replies.push(data);
    return data;
  }
}
