import { once } from 'node:events';
import { type IncomingMessage, request as httpRequest, type ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { eventually } from '../support/eventually.js';
import { localhostCertificates } from '../support/certificate.js';

/** The application's own origin. */
export const OWN = 'https://app.bank.test';

/** A service worker that passes on what it is given. */
const WORKER = `addEventListener('fetch', (event) => event.respondWith(fetch(event.request)));`;

/** A request to the application, as its server received it, and how it was responded to. */
export interface Exchange {
  /** The method and the path. */
  asked: string;
  site: string | undefined;
  origin: string | undefined;
  hasCookie: boolean;
  status: number;
}

/**
 * All names that end in `.test`, on all ports, for a browser: a proxy with TLS before an application, which has the
 * origin `OWN`, and pages of whatever origin that tests make up.
 */
export class Sites {
  readonly exchanges: Exchange[] = [];
  #application = '';
  #dropped: string[] = [];

  private constructor(private readonly server: Server) {
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      const { pathname, searchParams } = new URL(request.url ?? '/', OWN);
      if (pathname === '/page') {
        response.setHeader('content-type', 'text/html; charset=utf-8').end(searchParams.get('html'));
      } else if (pathname === '/redirect') {
        response.writeHead(307, { location: searchParams.get('to') ?? '' }).end();
      } else if (pathname === '/worker.js') {
        response.setHeader('content-type', 'text/javascript').end(WORKER);
      } else {
        this.#passOn(request, response);
      }
    });
    server.on('upgrade', (request: IncomingMessage, socket: Duplex) => this.#passOnUpgrade(request, socket));
  }

  static async start(): Promise<Sites> {
    const server = createServer(localhostCertificates());
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new Sites(server);
  }

  /** With these a browser takes this server for all of them. */
  get flags(): string[] {
    const { port } = this.server.address() as AddressInfo;
    return [`--host-resolver-rules=MAP *.test 127.0.0.1:${port}`, '--ignore-certificate-errors'];
  }

  /** Puts an application behind the proxy, which drops these headers of its requests. */
  leadTo(application: string, dropped: string[] = []): void {
    this.exchanges.length = 0;
    this.#application = application;
    this.#dropped = dropped;
  }

  /** The first request of this method and path. Resolves when its response is complete. */
  async exchange(asked: string): Promise<Exchange> {
    return await eventually(asked, () => this.exchanges.find((one) => one.asked === asked), { timeout: 10_000 });
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  #passOn(request: IncomingMessage, response: ServerResponse): void {
    const outgoing = this.#ask(request, { connection: 'close' });
    outgoing.on('error', () => response.destroy());
    outgoing.on('response', (incoming) => {
      response.writeHead(incoming.statusCode ?? 0, incoming.headers);
      incoming.pipe(response);
      incoming.on('end', () => this.#note(request, incoming));
    });
    request.pipe(outgoing);
  }

  #passOnUpgrade(request: IncomingMessage, socket: Duplex): void {
    const outgoing = this.#ask(request);
    outgoing.on('error', () => socket.destroy());
    outgoing.on('upgrade', (incoming, other) => {
      socket.write(headOf(incoming));
      socket.pipe(other).pipe(socket);
      for (const [one, another] of [
        [socket, other],
        [other, socket],
      ] as const) {
        // prettier-ignore
        one.on('error', () => another.destroy());
        one.on('close', () => another.destroy());
      }
      this.#note(request, incoming);
    });
    outgoing.on('response', (incoming) => {
      socket.write(headOf(incoming));
      incoming.pipe(socket);
      incoming.on('end', () => this.#note(request, incoming));
    });
    outgoing.end();
  }

  #ask(request: IncomingMessage, own: Record<string, string> = {}) {
    for (const name of this.#dropped) delete request.headers[name];
    const headers = { ...request.headers, 'x-forwarded-proto': 'https', ...own };
    const url = new URL(request.url ?? '/', this.#application);
    return httpRequest(url, { method: request.method, headers, agent: false });
  }

  #note({ method, url, headers }: IncomingMessage, { statusCode = 0 }: IncomingMessage): void {
    this.exchanges.push({
      asked: `${method} ${url}`,
      site: headers['sec-fetch-site'],
      origin: headers.origin,
      hasCookie: headers.cookie !== undefined,
      status: statusCode,
    });
  }
}

/** The beginning of a response, as it is on the line. */
function headOf({ statusCode, statusMessage, rawHeaders }: IncomingMessage): string {
  const lines = rawHeaders.flatMap((name, place) => (place % 2 === 0 ? `${name}: ${rawHeaders[place + 1]}` : []));
  return [`HTTP/1.1 ${statusCode} ${statusMessage}`, ...lines, '', ''].join('\r\n');
}

/** The address of a page of this origin. */
export function pageOf(origin: string, html = ''): string {
  return `${origin}/page?html=${encodeURIComponent(`<!doctype html>${html}`)}`;
}
