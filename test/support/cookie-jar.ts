export interface Cookie {
  name: string;
  /** As it stood in the header: still URL-encoded. */
  value: string;
  host: string;
  path: string;
  secure: boolean;
  /** Milliseconds since the epoch; `undefined` ends with the browser. */
  expires?: number;
}

export interface CookieJarOptions {
  /** Take plain http for a secure connection, as behind a proxy that ends TLS. Default false. */
  trustSecure?: boolean;
  /** What decides that a cookie has expired, in milliseconds since the epoch. Default `Date.now`. */
  now?: () => number;
}

/**
 * The cookies of one browser by the rules of RFC 6265bis that sessions depend on. Every cookie is host-only: a
 * `Domain` attribute is not looked at, nor is `SameSite`.
 */
export class CookieJar {
  readonly #cookies = new Map<string, Cookie>();

  /** @param host whose cookies `set` makes */
  constructor(
    private readonly host: string,
    private readonly options: CookieJarOptions = {},
  ) {}

  /** The value of the cookie of that name with the longest path. */
  get(name: string): string | undefined {
    return this.find(name)?.value;
  }

  /** The whole cookie, to look at what a `Set-Cookie` said. */
  find(name: string): Cookie | undefined {
    return this.all().find((cookie) => cookie.name === name);
  }

  has(name: string): boolean {
    return this.find(name) !== undefined;
  }

  /** Changes the cookie of that name and keeps what is not given; a new one is sent to every path. */
  set(name: string, value: string, attributes: Partial<Omit<Cookie, 'name' | 'value'>> = {}): this {
    const cookie = this.find(name) ?? { name, host: this.host, path: '/', secure: false };
    return this.#put({ ...cookie, ...attributes, value });
  }

  delete(name: string): boolean {
    const doomed = this.all().filter((cookie) => cookie.name === name);
    return doomed.map((cookie) => this.#cookies.delete(keyOf(cookie))).length > 0;
  }

  clear(): void {
    this.#cookies.clear();
  }

  get size(): number {
    return this.all().length;
  }

  /** Unexpired cookies, longest path first. */
  all(): Cookie[] {
    const now = this.#now();
    return [...this.#cookies.values()]
      .filter((cookie) => cookie.expires === undefined || cookie.expires > now)
      .sort((a, b) => b.path.length - a.path.length);
  }

  /** The `Cookie` header for this address, or `undefined` when there is nothing to send. */
  headerFor(url: URL): string | undefined {
    const sent = this.all().filter(
      (cookie) =>
        cookie.host === url.hostname &&
        pathMatches(url.pathname, cookie.path) &&
        (!cookie.secure || this.#isSecure(url)),
    );
    return sent.map(({ name, value }) => `${name}=${value}`).join('; ') || undefined;
  }

  /** Takes in one `Set-Cookie` header of a response from this address, or ignores it as a browser would. */
  receive(header: string, url: URL): void {
    const [pair = '', ...rest] = header.split(';').map((part) => part.trim());
    const [name, value] = splitAt(pair, '=');
    const attributes = new Map(
      rest.map((part) => {
        const [key, value] = splitAt(part, '=');
        return [key.toLowerCase(), value];
      }),
    );
    const path = attributes.get('path');
    const cookie: Cookie = {
      name,
      value,
      host: url.hostname,
      path: path?.startsWith('/') ? path : defaultPath(url.pathname),
      secure: attributes.has('secure'),
      expires: this.#expiry(attributes),
    };
    if (cookie.secure && !this.#isSecure(url)) return;
    if (/^__(Secure|Host)-/i.test(name) && !cookie.secure) return;
    if (/^__Host-/i.test(name) && (path !== '/' || attributes.get('domain'))) return;
    this.#put(cookie);
  }

  /** A jar of its own with the same cookies in it. */
  copy(): CookieJar {
    const copy = new CookieJar(this.host, this.options);
    for (const [key, cookie] of this.#cookies) copy.#cookies.set(key, { ...cookie });
    return copy;
  }

  #put(cookie: Cookie): this {
    this.#cookies.set(keyOf(cookie), cookie);
    return this;
  }

  #now(): number {
    return (this.options.now ?? Date.now)();
  }

  #isSecure(url: URL): boolean {
    return url.protocol === 'https:' || this.options.trustSecure === true;
  }

  /** Max-Age goes before Expires; what cannot be read is as if it were not there. */
  #expiry(attributes: Map<string, string>): number | undefined {
    const maxAge = attributes.get('max-age');
    if (maxAge !== undefined && /^-?\d+$/.test(maxAge)) return this.#now() + Number(maxAge) * 1000;
    const expires = Date.parse(attributes.get('expires') ?? '');
    return Number.isNaN(expires) ? undefined : expires;
  }
}

function keyOf({ host, path, name }: Cookie): string {
  return `${host};${path};${name}`;
}

/** `/admin` covers `/admin` and `/admin/users`, not `/administrator`. */
function pathMatches(path: string, cookiePath: string): boolean {
  return path === cookiePath || path.startsWith(cookiePath.endsWith('/') ? cookiePath : `${cookiePath}/`);
}

function defaultPath(path: string): string {
  return path.slice(0, path.lastIndexOf('/')) || '/';
}

function splitAt(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ''] : [text.slice(0, at).trim(), text.slice(at + 1).trim()];
}
