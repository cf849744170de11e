import { type ClientHttp2Session, connect } from 'node:http2';
import { text } from 'node:stream/consumers';
import { Controller, Get, Post, Req } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { FastifyRequest } from 'fastify';
import { CurrentSession, SessionAuthService, SessionRegistry, type SessionRequest } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { ALL_CARRIERS, carriersOf } from '../support/carriers.js';
import { localhostCertificates } from '../support/certificate.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { ProcessWatch } from '../support/process-watch.js';

@Controller()
class Http2Controller {
  readonly attempts: Promise<unknown>[] = [];

  constructor(
    private readonly gates: Gates,
    private readonly auth: SessionAuthService,
  ) {}

  @Get('carriers')
  carriers(@Req() request: SessionRequest) {
    return carriersOf(request, (carrier) => this.auth.current(carrier).handle);
  }

  @Get('broken')
  broken(@CurrentSession() session: Record<string, unknown>) {
    session['amount'] = 1n;
    return {};
  }

  @Post('late')
  async late(@Req() request: FastifyRequest): Promise<object> {
    const attempt = this.gates
      .named('login')
      .pass()
      .then(() => this.auth.logIn(request, { id: '1', name: 'Ada' }));
    this.attempts.push(attempt);
    await attempt;
    return {};
  }
}

const certificates = localhostCertificates();
const CONNECTIONS: [string, () => FastifyAdapter][] = [
  ['in cleartext', () => new FastifyAdapter({ http2: true })],
  ['by TLS', () => new FastifyAdapter({ http2: true, https: { key: certificates.key, cert: certificates.cert } })],
];

describe.each(CONNECTIONS)('HTTP/2 %s', (where, adapter) => {
  let watch: ProcessWatch;
  let application: TestApplication;
  let client: ClientHttp2Session;
  const isEncrypted = where === 'by TLS';

  beforeAll(async () => {
    watch = new ProcessWatch();
    application = await TestApplication.start({
      adapter: adapter(),
      options: { cookie: { secure: 'auto' } },
      controllers: [Http2Controller],
      providers: [SnapshotSerializer, LocalStrategy, Gates],
    });
    const origin = isEncrypted ? application.url.replace('http:', 'https:') : application.url;
    client = connect(origin, { ca: certificates.ca });
  });

  afterAll(async () => {
    client.destroy();
    await application.close();
    watch.stop();
  });

  function expectQuiet(): void {
    const warnings = watch.warnings.filter((warning) => !warning.includes('VM Modules')); // Jest's.
    expect({ warnings, unhandled: watch.unhandled }).toEqual({ warnings: [], unhandled: [] });
  }

  async function send(method: string, path: string, { json, cookie }: { json?: unknown; cookie?: string } = {}) {
    const stream = client.request({
      ':method': method,
      ':path': path,
      ...(json !== undefined && { 'content-type': 'application/json' }),
      ...(cookie !== undefined && { cookie }),
    });
    stream.end(json === undefined ? undefined : JSON.stringify(json));
    const headers = await new Promise<Record<string, unknown>>((resolve, reject) => {
      stream.on('response', resolve).on('error', reject);
    });
    const [setCookie] = (headers['set-cookie'] as string[] | undefined) ?? [];
    return { status: headers[':status'], setCookie, cookie: setCookie?.split(';')[0], body: await text(stream) };
  }

  it('carries a login, its session and its end, without a warning', async () => {
    const login = await send('POST', '/login', { json: { username: 'ada', password: 'lovelace' } });
    expect([login.status, login.setCookie?.includes('; Secure')]).toEqual([200, isEncrypted]);
    const { cookie } = login;

    expect(await send('GET', '/me', { cookie })).toMatchObject({ status: 200, body: '{"id":"1","name":"Ada"}' });
    await send('PUT', '/session/note', { cookie, json: { value: 1 } });
    expect((await send('GET', '/session', { cookie })).body).toBe('{"note":1}');
    expect((await send('POST', '/logout', { cookie })).status).toBe(204);
    expect((await send('GET', '/me', { cookie })).status).toBe(401);
    expectQuiet();
  });

  it('has its session found by all that leads to a request', async () => {
    const { cookie } = await send('POST', '/login', { json: { username: 'ada', password: 'lovelace' } });

    expect(JSON.parse((await send('GET', '/carriers', { cookie })).body)).toEqual(ALL_CARRIERS);
  });

  it('tells of a session that cannot be saved, without a warning', async () => {
    const { status, body } = await send('GET', '/broken');

    expect([status, JSON.parse(body)]).toMatchObject([500, { code: 'session_not_serializable' }]);
    expectQuiet();
  });

  it('leaves no session behind where a client hangs up during its login', async () => {
    const { attempts } = application.app.get(Http2Controller);
    const registry = application.app.get(SessionRegistry);
    const others = await registry.count('1');
    const gate = application.app.get(Gates).named('login');
    const stream = client.request({ ':method': 'POST', ':path': '/late' });
    stream.on('error', () => undefined).end();
    await gate.reached;
    stream.close();
    await new Promise((resolve) => stream.on('close', resolve));
    await send('GET', '/public'); // The server has heard of it by now: it comes later on the same connection.
    gate.open();

    await expect(attempts[0]).rejects.toMatchObject({ code: 'cookie_not_sendable' });
    await eventually('no session', async () => (await registry.count('1')) === others);
  });
});
