import { WebSocket } from 'ws';
import type { TestApplication } from './application.js';
import type { Browser } from './browser.js';
import { cookieOf } from './devices.js';
import { eventually } from './eventually.js';
import type { Closed } from './web-socket.js';

interface Message {
  id?: string;
  type: string;
  payload?: unknown;
}

/** What a subscription has told: its data, and the errors that have ended it. */
export interface Subscribed {
  readonly heard: unknown[];
  errors?: { message: string; extensions: Record<string, unknown> }[];
}

type Result = { data?: unknown } & Pick<Subscribed, 'errors'>;

/** A browser's client of GraphQL subscriptions, as graphql-ws speaks (graphql-transport-ws). */
export class GraphQLSocket {
  closed: Closed | undefined;
  readonly #subscriptions: Subscribed[] = [];
  readonly #socket: WebSocket;
  #isAcknowledged = false;

  private constructor(url: string, headers: Record<string, string>) {
    this.#socket = new WebSocket(url, 'graphql-transport-ws', { headers });
    this.#socket.on('open', () => {
      this.#send({ type: 'connection_init' });
    });
    this.#socket.on('message', (data: Buffer) => {
      this.#hear(JSON.parse(data.toString()) as Message);
    });
    this.#socket.on('close', (code, reason) => {
      this.closed = { code, reason: reason.toString() };
    });
    this.#socket.on('error', () => undefined); // It is closed, too.
  }

  /** Opens one, with the cookies of a browser. Resolves when the server has acknowledged it, or closed it. */
  static async open({ url }: Pick<TestApplication, 'url'>, browser: Browser): Promise<GraphQLSocket> {
    const socket = new GraphQLSocket(`${url.replace(/^http/, 'ws')}/graphql`, { cookie: cookieOf(browser) });
    await eventually('the socket to open', () => socket.#isAcknowledged || socket.closed);
    return socket;
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  subscribe(query: string): Subscribed {
    const subscription: Subscribed = { heard: [] };
    const id = `${this.#subscriptions.push(subscription) - 1}`;
    this.#send({ id, type: 'subscribe', payload: { query } });
    return subscription;
  }

  /** The errors of a subscription that is refused. */
  async refusal(query: string) {
    const subscription = this.subscribe(query);
    return eventually(`${query} to be refused`, () => subscription.errors);
  }

  /** Resolves when the server has closed it. */
  end(): Promise<Closed> {
    return eventually('the socket to be closed', () => this.closed);
  }

  close(): void {
    this.#socket.terminate();
  }

  #send(message: Message): void {
    this.#socket.send(JSON.stringify(message));
  }

  #hear({ type, id, payload }: Message): void {
    const subscription = this.#subscriptions[Number(id)];
    if (type === 'connection_ack') {
      this.#isAcknowledged = true;
    } else if (type === 'next' || type === 'error') {
      // Apollo says what is wrong with a subscription as its only result, and Mercurius as its error.
      const { data, errors } = (type === 'next' ? payload : { errors: payload }) as Result;
      Object.assign(subscription ?? {}, errors && { errors });
      subscription?.heard.push(...[data ?? []].flat());
    }
  }
}
