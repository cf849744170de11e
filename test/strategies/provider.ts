import { createHash, randomUUID, type webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Agent } from 'node:https';
import { type AddressInfo, connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { exportJWK, generateKeyPair, type JWK, SignJWT } from 'jose';
import type { Browser, BrowserResponse } from '../support/browser.js';

export const CLIENT = { clientID: 'the-client', clientSecret: 'the secret of the client' };

/** Who is logged in at the provider, in the words of each provider at once. */
export const AT_PROVIDER = { sub: '7', id: '7', name: 'Ada', login: 'ada', username: 'ada', displayName: 'Ada' };

type Query = Record<string, string>;

interface Reply {
  status?: number;
  location?: string;
  body?: object;
}

/** How a browser comes back from the provider: by a link, or by a form that the provider's page posts. */
export interface Return {
  url: URL;
  form?: Query;
}

/**
 * An OAuth 2.0 and OpenID provider (RFC 6749, RFC 7636, OpenID Connect Core): authorization code, PKCE, nonce, discovery.
 * Paths are told apart by their last part, so that it can stand in for any provider.
 */
export class Provider {
  readonly #grants = new Map<string, Query>();
  readonly #tokens = new Set<string>();

  private constructor(
    private readonly server: Server,
    private readonly key: webcrypto.CryptoKey,
    private readonly jwk: JWK,
  ) {}

  static async start(): Promise<Provider> {
    const { privateKey, publicKey } = await generateKeyPair('RS256', { extractable: true });
    const server = createServer();
    const provider = new Provider(server, privateKey, { ...(await exportJWK(publicKey)), alg: 'RS256', kid: '1' });
    server.on('request', (request, response) => void provider.#respond(request, response));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    return provider;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** Leads requests for any https host here, for strategies whose host is fixed. */
  get agent(): Agent {
    const agent = new Agent();
    agent.createConnection = () => connect(this.port, '127.0.0.1');
    return agent;
  }

  /** What the browser is sent back with after its user has agreed; `location` is where the strategy sent it. */
  async agree(location: string): Promise<Return> {
    const { pathname, search } = new URL(location);
    const response = await fetch(`${this.url}${pathname}${search}`, { redirect: 'manual' });
    if (response.status === 302) return { url: new URL(response.headers.get('location') ?? '') };
    if (response.status !== 200) throw new Error(await response.text());
    const { action, fields } = (await response.json()) as { action: string; fields: Query };
    return { url: new URL(action), form: fields };
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  async #respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { status = 200, location, body } = await this.#reply(request);
    const headers = { 'content-type': 'application/json', ...(location !== undefined && { location }) };
    response.writeHead(status, headers).end(JSON.stringify(body ?? {}));
  }

  async #reply(request: IncomingMessage): Promise<Reply> {
    const { pathname, searchParams } = new URL(request.url ?? '', this.url);
    const query = Object.fromEntries(searchParams);
    switch (pathname.split('/').filter(Boolean).at(-1)) {
      case 'authorize':
        return this.#authorize(query);
      case 'token': {
        const form = Object.fromEntries(new URLSearchParams(await text(request)));
        const body = await this.#token(form, request.headers.authorization);
        return { status: 'error' in body ? 400 : 200, body };
      }
      case 'openid-configuration':
        return { body: this.#configuration() };
      case 'jwks':
        return { body: { keys: [this.jwk] } };
      default: {
        const token = request.headers.authorization?.replace(/^Bearer /i, '') ?? query['access_token'] ?? '';
        return this.#tokens.has(token) ? { body: AT_PROVIDER } : { status: 401, body: { error: 'invalid_token' } };
      }
    }
  }

  #authorize(query: Query): Reply {
    const { client_id, redirect_uri = '', response_type = '', response_mode, state } = query;
    if (client_id !== CLIENT.clientID || !redirect_uri || !response_type.split(' ').includes('code')) {
      return { status: 400, body: { error: 'invalid_request' } };
    }
    const code = randomUUID();
    this.#grants.set(code, query);
    const fields = { code, ...(state !== undefined && { state }) };
    if (response_mode === 'form_post') return { body: { action: redirect_uri, fields } };
    const back = new URL(redirect_uri);
    for (const [name, value] of Object.entries(fields)) back.searchParams.set(name, value);
    return { status: 302, location: back.href };
  }

  /** Each code is good once, for the client, the address and the verifier that it was issued to. */
  async #token(form: Query, authorization = ''): Promise<Query> {
    const grant = this.#grants.get(form['code'] ?? '');
    this.#grants.delete(form['code'] ?? '');
    const basic = Buffer.from(authorization.replace(/^Basic /, ''), 'base64').toString();
    const client = form['client_id'] ?? basic.split(':')[0];
    if (client !== CLIENT.clientID) return { error: 'invalid_client' };
    if (!grant || grant['redirect_uri'] !== form['redirect_uri']) return { error: 'invalid_grant' };
    if (grant['code_challenge'] !== challengeOf(form['code_verifier'])) return { error: 'invalid_grant' };
    const access_token = randomUUID();
    this.#tokens.add(access_token);
    return { access_token, token_type: 'bearer', id_token: await this.#idToken(grant['nonce']) };
  }

  #idToken(nonce: string | undefined): Promise<string> {
    return new SignJWT({ ...AT_PROVIDER, ...(nonce !== undefined && { nonce }) })
      .setProtectedHeader({ alg: 'RS256', kid: '1' })
      .setIssuer(this.url)
      .setAudience(CLIENT.clientID)
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(this.key);
  }

  #configuration() {
    return {
      issuer: this.url,
      authorization_endpoint: `${this.url}/authorize`,
      token_endpoint: `${this.url}/token`,
      userinfo_endpoint: `${this.url}/userinfo`,
      jwks_uri: `${this.url}/jwks`,
      response_types_supported: ['code'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256'],
    };
  }
}

/** Comes back as the provider sent the browser back. */
export function comeBack(browser: Browser, { url, form }: Return): Promise<BrowserResponse> {
  const path = `${url.pathname}${url.search}`;
  const headers = { 'sec-fetch-site': 'cross-site' };
  return form
    ? browser.post(path, { form, headers: { ...headers, origin: 'https://provider.example' } })
    : browser.get(path, { headers });
}

function challengeOf(verifier: string | undefined): string | undefined {
  return verifier === undefined ? undefined : createHash('sha256').update(verifier).digest('base64url');
}
