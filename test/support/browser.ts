import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { text } from 'node:stream/consumers';
import { CookieJar, type CookieJarOptions } from './cookie-jar.js';

export interface BrowserOptions extends CookieJarOptions {
  /** Milliseconds until a response must be complete. Default 10000. */
  timeout?: number;
}

export interface RequestOptions {
  /** `cookie` replaces what the jar would send; `undefined` leaves a header out. */
  headers?: Record<string, string | string[] | undefined>;
  json?: unknown;
  form?: Record<string, string>;
  body?: string | Buffer;
  /** Follow redirects, at most ten. Default false. */
  follow?: boolean;
  timeout?: number;
}

/** A response whose head has come and whose body may still be on its way. */
export interface OpenResponse {
  url: URL;
  status: number;
  headers: IncomingHttpHeaders;
  setCookies: string[];
  /** Destroy it to hang up. */
  body: IncomingMessage;
}

export interface BrowserResponse extends Omit<OpenResponse, 'body'> {
  text: string;
  json<T = unknown>(): T;
}

const REDIRECTS = new Set([301, 302, 303, 307, 308]);
const MOST_REDIRECTS = 10;

/** A browser without a screen: keep-alive connections and a cookie jar, and nothing done behind a test's back. */
export class Browser {
  readonly #agent = new Agent({ keepAlive: true });

  constructor(
    readonly baseUrl: string,
    private readonly options: BrowserOptions = {},
    readonly cookies: CookieJar = new CookieJar(new URL(baseUrl).hostname, options),
  ) {}

  get(path: string, options?: RequestOptions): Promise<BrowserResponse> {
    return this.request('GET', path, options);
  }

  post(path: string, options?: RequestOptions): Promise<BrowserResponse> {
    return this.request('POST', path, options);
  }

  async request(method: string, path: string, options: RequestOptions = {}): Promise<BrowserResponse> {
    const { body, ...head } = await this.open(method, path, options);
    const content = await text(body);
    const response: BrowserResponse = { ...head, text: content, json: <T>() => JSON.parse(content) as T };
    return options.follow ? this.#follow(response, method, options) : response;
  }

  /** Resolves as soon as the head of the response is there; follows nothing. */
  open(method: string, path: string, options: RequestOptions = {}): Promise<OpenResponse> {
    const url = new URL(path, this.baseUrl);
    const { body, type } = encode(options);
    const headers = {
      cookie: this.cookies.headerFor(url),
      'content-type': type,
      'content-length': body === undefined ? undefined : `${Buffer.byteLength(body)}`,
      ...lowerCased(options.headers),
    };
    const defined = Object.fromEntries(Object.entries(headers).filter((entry) => entry[1] !== undefined));

    return new Promise((resolve, reject) => {
      const outgoing = request(url, { method, agent: this.#agent, headers: defined });
      const limit = options.timeout ?? this.options.timeout ?? 10_000;
      const late = () => new Error(`${method} ${url.href} was not answered within ${limit} ms`);
      let incoming: IncomingMessage | undefined;
      const timer = setTimeout(() => (incoming ?? outgoing).destroy(late()), limit);
      outgoing.on('close', () => clearTimeout(timer));
      outgoing.on('error', reject);
      outgoing.on('response', (response) => {
        incoming = response;
        const setCookies = response.headers['set-cookie'] ?? [];
        for (const cookie of setCookies) this.cookies.receive(cookie, url);
        resolve({ url, status: response.statusCode ?? 0, headers: response.headers, setCookies, body: response });
      });
      outgoing.end(body);
    });
  }

  /** Another tab: the same jar. */
  tab(): Browser {
    return new Browser(this.baseUrl, this.options, this.cookies);
  }

  /** Another browser that starts with a copy of the cookies. */
  fork(): Browser {
    return new Browser(this.baseUrl, this.options, this.cookies.copy());
  }

  /** Drops its kept-alive connections. */
  close(): void {
    this.#agent.destroy();
  }

  async #follow(
    response: BrowserResponse,
    method: string,
    options: RequestOptions,
    left = MOST_REDIRECTS,
  ): Promise<BrowserResponse> {
    const location = response.headers.location;
    if (!location || !REDIRECTS.has(response.status)) return response;
    if (left === 0) throw new Error(`${method} ${response.url.href} redirects on and on`);
    const asGet = response.status === 303 || (response.status < 303 && method === 'POST');
    const next = asGet && method !== 'HEAD' ? 'GET' : method;
    const kept = asGet ? { ...options, json: undefined, form: undefined, body: undefined } : options;
    const target = new URL(location, response.url).href;
    return this.#follow(await this.request(next, target, { ...kept, follow: false }), next, kept, left - 1);
  }
}

function encode({ json, form, body }: RequestOptions): { body?: string | Buffer; type?: string } {
  if (json !== undefined) return { body: JSON.stringify(json), type: 'application/json' };
  if (form) return { body: new URLSearchParams(form).toString(), type: 'application/x-www-form-urlencoded' };
  return { body };
}

function lowerCased<T>(headers: Record<string, T> = {}): Record<string, T> {
  return Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]));
}
