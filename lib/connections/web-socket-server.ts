import type { EventEmitter } from 'node:events';
import { Logger } from '@nestjs/common';
import { leadTo } from '../access/carrier.js';
import { unchanged, wsException } from '../access/refusal.js';
import type { ConnectionEnd } from './watched-session.js';
import type { SessionRequest } from '../http/session-request.js';
import { forgetCookies, showOn, standInFor } from '../http/stand-in-request.js';
import type { ConnectionRefusal, GatewayAddress } from './gateway-guards.js';
import { CLOSES_WITHIN, type GatewayHandshakes } from './gateway-handshakes.js';

/* `ws` is an optional peer, so what is used of it is described here. */

interface VerifyInfo {
  readonly req: SessionRequest;
}
type Done = (isVerified: boolean, code?: number, message?: string, headers?: object) => void;
type VerifyClient = ((info: VerifyInfo, done: Done) => void) | ((info: VerifyInfo) => boolean);

/** A server of `ws`. */
export interface WebSocketServer extends EventEmitter {
  readonly options: { verifyClient?: VerifyClient | null };
  handleUpgrade(...args: unknown[]): void;
}

interface WebSocketClient extends EventEmitter {
  close(code: number, reason: string): void;
  terminate(): void;
}

/** Close codes: RFC 6455, section 7.4, and one of the range that is the application's own, after HTTP's 401. */
const GOING_AWAY = 1001;
const TRY_AGAIN_LATER = 1013;
const UNAUTHENTICATED = 4401;

/** Bytes of the text that a close frame has room for: RFC 6455, section 5.5. */
const MOST_TEXT = 123;

/** Has the clients of a `ws` server take part. */
export class JoinedWebSocketServer {
  /** By request: why its client is closed as soon as it is connected. Browsers learn no more of a refused handshake. */
  readonly #refusals = new WeakMap<SessionRequest, ConnectionRefusal>();
  readonly #logger = new Logger('SessionConnections');
  readonly #refused = new WeakSet();
  /** By request: what stands for it once its client is connected. `ws` forgets the request then. */
  readonly #standIns = new WeakMap<SessionRequest, SessionRequest>();

  /** @param address `undefined` where no gateways are served, but GraphQL */
  constructor(
    server: WebSocketServer,
    private readonly address: Omit<GatewayAddress, 'namespace'> | undefined,
    private readonly handshakes: GatewayHandshakes,
  ) {
    const { options } = server;
    const { verifyClient } = options;
    options.verifyClient = (info: VerifyInfo, done: Done) => {
      void this.#verify(verifyClient ?? undefined, info)
        .catch((error: unknown): Parameters<Done> => {
          this.#logger.error('A handshake failed, so a client was not connected.', error);
          return [false, 500];
        })
        .then((verdict) => {
          // What a listener for connections throws is thrown as it would be without this.
          process.nextTick(done, ...verdict);
        });
    };
    server.prependListener('connection', (client: WebSocketClient, request: SessionRequest) => {
      this.#connect(client, request);
    });
  }

  /** The client was turned away, so no gateway hears of it. */
  hasRefused(client: object): boolean {
    return this.#refused.has(client);
  }

  /** A client is connected. Called before anybody else hears of it. */
  #connect(client: WebSocketClient, request: SessionRequest): void {
    leadTo(this.#standIns.get(request) ?? request, client);
    const refusal = this.#refusals.get(request);
    if (refusal !== undefined) {
      this.#refused.add(client);
      const { statusCode = 401, code = 'unauthenticated', reason = code } = refusal;
      // A guard of the application's own may have given any.
      const text = [reason, code].map(String).find((one) => Buffer.byteLength(one) <= MOST_TEXT) ?? '';
      close(client, statusCode >= 500 ? TRY_AGAIN_LATER : UNAUTHENTICATED, text);
      return;
    }
    const release = this.handshakes.register(request, ({ reason }: ConnectionEnd) => {
      close(client, reason === 'shutting_down' ? GOING_AWAY : UNAUTHENTICATED, reason);
    });
    client.on('close', release);
  }

  async #verify(own: VerifyClient | undefined, info: VerifyInfo): Promise<Parameters<Done>> {
    const crossSite = this.handshakes.crossSiteRefusal(info.req);
    if (crossSite !== undefined) {
      return [false, 403, crossSite, { 'Content-Type': 'application/json' }];
    }
    const verdict = await verdictOf(own, info);
    if (verdict[0]) {
      await (this.address === undefined
        ? this.handshakes.read(info.req, unchanged) // GraphQL's context keeps the request itself.
        : this.#readForGateways(info.req, { ...this.address, namespace: '/' }));
    }
    return verdict;
  }

  async #readForGateways(request: SessionRequest, address: GatewayAddress): Promise<void> {
    const standIn = standInFor(request);
    if (await this.handshakes.read(standIn, wsException)) {
      forgetCookies(standIn);
      showOn(request, standIn);
      this.#standIns.set(request, standIn);
    }
    const refusal = await this.handshakes.whyRefused(address, standIn);
    if (refusal !== undefined) {
      this.#refusals.set(request, refusal);
    }
  }
}

/** What the application's own `verifyClient` says, in either of its forms. */
function verdictOf(own: VerifyClient | undefined, info: VerifyInfo): Promise<Parameters<Done>> {
  return new Promise((resolve) => {
    if (own === undefined || own.length < 2) {
      resolve([own === undefined || (own as (info: VerifyInfo) => boolean)(info)]);
    } else {
      own(info, (...verdict) => {
        resolve(verdict);
      });
    }
  });
}

export function isWebSocketServer(server: unknown): server is WebSocketServer {
  const { handleUpgrade, options } = (server ?? {}) as Partial<WebSocketServer>;
  return typeof handleUpgrade === 'function' && typeof options === 'object';
}

function close(client: WebSocketClient, code: number, reason: string): void {
  client.close(code, reason);
  const timer = setTimeout(() => {
    client.terminate();
  }, CLOSES_WITHIN).unref();
  client.once('close', () => {
    clearTimeout(timer);
  });
}
