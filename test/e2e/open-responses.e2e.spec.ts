import { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { type ClientHttp2Session, connect } from 'node:http2';
import {
  type CanActivate,
  Controller,
  Get,
  Inject,
  Injectable,
  Post,
  Req,
  Res,
  Sse,
  StreamableFile,
  type Type,
  UseGuards,
} from '@nestjs/common';
import { ApplicationConfig } from '@nestjs/core';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import type { Server, ServerResponse } from 'node:http';
import { map, Subject } from 'rxjs';
import {
  EndsWithSession,
  SessionAuthService,
  SessionConnections,
  SessionGuard,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import {
  LocalStrategy,
  SnapshotSerializer,
  type TestApplication,
  type TestApplicationOptions,
} from '../support/application.js';
import type { Browser, OpenResponse } from '../support/browser.js';
import { idOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gates } from '../support/gate.js';
import { describePlatforms, takeOver } from '../support/platforms.js';
import { HOUR } from '../support/session-stores.js';

const MB = 2 ** 20;
const news = new Subject<string>();
const asEvents = () => news.pipe(map((data) => ({ data })));

/** A file that is never read to its end. */
function endless(): Readable {
  let hasBegun = false;
  return new Readable({
    read() {
      if (!hasBegun) {
        hasBegun = true;
        this.push('half');
      }
    },
  });
}

/** Waits at the gate before it lets a request through. */
@Injectable()
class SlowGuard implements CanActivate {
  constructor(@Inject(Gates) private readonly gates: Gates) {}

  async canActivate(): Promise<boolean> {
    await this.gates.named('guard').pass();
    return true;
  }
}

@Controller('streams')
class StreamsController {
  readonly files: Readable[] = [];

  constructor(
    private readonly auth: SessionAuthService,
    @Inject(Gates) private readonly gates: Gates,
  ) {}

  @Sse('guarded')
  @UseGuards(SessionGuard)
  guarded() {
    return asEvents();
  }
  @Sse('open')
  open() {
    return asEvents();
  }
  @Sse('marked')
  @EndsWithSession()
  marked() {
    return asEvents();
  }
  @Sse('left-alone')
  @EndsWithSession(false)
  leftAlone() {
    return asEvents();
  }

  @Sse('late')
  @UseGuards(SlowGuard)
  late() {
    return asEvents();
  }
  @Sse('large', { maxPendingDataLength: Infinity })
  large() {
    return asEvents();
  }

  @Get('file')
  @EndsWithSession()
  file() {
    const file = endless();
    this.files.push(file);
    return new StreamableFile(file);
  }
  @Get('written')
  @EndsWithSession()
  written(@Res() response: ServerResponse) {
    takeOver(response).write('half');
  }
  @Get('unmarked')
  unmarked(@Res() response: ServerResponse) {
    takeOver(response).write('half');
  }
  @Get('short')
  @EndsWithSession()
  short() {
    return { amount: 1 };
  }
  @Get('slow')
  @EndsWithSession()
  async slow() {
    await this.gates.named('slow').pass();
    return { amount: 1 };
  }
  @Post('logout')
  @EndsWithSession()
  async logOut(@Req() request: SessionRequest) {
    await this.auth.logOut(request);
    await this.gates.named('left').pass();
    return { name: null };
  }
  @Post('login')
  @EndsWithSession()
  async logIn(@Req() request: SessionRequest) {
    await this.auth.logIn(request, { id: '2', name: 'Grace' });
    await this.gates.named('left').pass();
    return { name: 'Grace' };
  }
}

/** What the classes below have in common. */
abstract class Routes {
  @Sse('stream')
  stream() {
    return asEvents();
  }
  @Get('written')
  written(@Res() response: ServerResponse) {
    takeOver(response).write('half');
  }
  @Get('spared')
  @EndsWithSession(false)
  spared(@Res() response: ServerResponse) {
    takeOver(response).write('half');
  }
}
@Controller('on')
@EndsWithSession()
class OnController extends Routes {}
@Controller('below-on')
class BelowOnController extends OnController {}
@Controller('off')
@EndsWithSession(false)
class OffController extends Routes {}
@Controller('below-off')
class BelowOffController extends OffController {}

const CONTROLLERS = [StreamsController, OnController, BelowOnController, OffController, BelowOffController];

const clients: ClientHttp2Session[] = [];
const open: OpenResponse[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.destroy();
  for (const { body } of open.splice(0)) body.destroy();
  await eventually('the source to have no readers', () => !news.observed);
});
const home = sessionsIn('redis');
let application: TestApplication;

async function start(
  options: TestApplicationOptions['options'] = { connections: { recheck: 200 } },
  controllers: Type[] = CONTROLLERS,
  adapter?: FastifyAdapter,
): Promise<void> {
  application = await home.start({
    ...(adapter !== undefined && { adapter }),
    controllers,
    options,
    providers: [SnapshotSerializer, LocalStrategy, SlowGuard],
  });
}

/** A response that stays open. */
async function visit(browser: Browser, path: string) {
  const response = await browser.open('GET', path);
  open.push(response);
  const visitOf = { status: response.status, text: '', end: undefined as 'whole' | 'broken' | undefined };
  response.body.on('data', (chunk: Buffer) => (visitOf.text += chunk.toString()));
  response.body.on('error', () => undefined); // It is closed, too.
  response.body.on('close', () => (visitOf.end = response.body.complete ? 'whole' : 'broken'));
  return visitOf;
}
type Visit = Awaited<ReturnType<typeof visit>>;
const endOf = (response: Visit) => eventually('the response to end', () => response.end);
const hears = (response: Visit, what: string) => eventually(`"${what}"`, () => response.text.includes(what));

const connections = () => application.app.get(SessionConnections);
const registry = () => application.app.get(SessionRegistry);

const ENDS: [cause: string, end: (browser: Browser) => Promise<unknown>][] = [
  ['a logout', (browser) => browser.post('/logout')],
  [
    'a revocation from another browser',
    async (browser) => {
      const elsewhere = await application.loggedIn();
      await elsewhere.post('/devices/revoke', { json: { handle: idOf(browser).handle } });
    },
  ],
];
const KINDS: [kind: string, path: string, end: 'whole' | 'broken'][] = [
  ['an event stream', '/streams/guarded', 'whole'],
  ['an event stream that everybody may open', '/streams/open', 'whole'],
  ['an event stream that is marked', '/streams/marked', 'whole'],
  ['a file that is marked', '/streams/file', 'broken'],
  ['a stream written by hand that is marked', '/streams/written', 'broken'],
  ['a response in a class that is marked', '/on/written', 'broken'],
  ['an event stream in a class that is marked', '/on/stream', 'whole'],
  ['a response in a subclass of a class that is marked', '/below-on/written', 'broken'],
  ['an event stream in a subclass of a class that is marked with false', '/below-off/stream', 'whole'],
];
const SPARED: [kind: string, path: string][] = [
  ['an event stream that is marked with false', '/streams/left-alone'],
  ['an event stream in a class that is marked with false', '/off/stream'],
  ['a stream without a mark', '/streams/unmarked'],
  ['a method that is marked with false in a class that is marked', '/on/spared'],
];

describePlatforms(() => {
  describe.each(KINDS)('%s', (_, path, end) => {
    /** The user in a new browser, with a response that stays open. */
    async function arrive() {
      const browser = await application.loggedIn();
      const response = await visit(browser, path);
      await eventually('the response to begin', () => news.observed || response.text === 'half');
      return { browser, response };
    }

    it.each(ENDS)('ends with its session by %s, and no other does', async (_cause, endSession) => {
      await start();
      const { browser, response } = await arrive();
      const other = await arrive();
      const stranger = await visit(application.browser(), '/streams/open');
      await eventually('the book to have both', () => connections().count({ user: '1' }) === 2);

      await endSession(browser);

      expect(await endOf(response)).toBe(end);
      news.next('rain');
      await hears(stranger, 'rain');
      expect([response.text.includes('rain'), other.response.end, stranger.end]).toEqual([false, undefined, undefined]);
      expect(connections().count()).toBe(1);
    });

    it('ends when its session expires', async () => {
      await start();
      const { response } = await arrive();

      application.clock.advance(HOUR);

      expect(await endOf(response)).toBe(end);
      await eventually('the source to be unsubscribed', () => !news.observed);
    });

    it('goes on after a step-up, and ends with the new id', async () => {
      await start();
      const { browser, response } = await arrive();

      await browser.post('/proof/step-up');

      await eventually('it to go over', () => connections().count({ handle: idOf(browser).handle }) === 1);
      expect(response.end).toBeUndefined();
      await registry().revoke('1', idOf(browser).handle);
      expect(await endOf(response)).toBe(end);
    });

    it('is forgotten when the client hangs up', async () => {
      await start();
      await arrive();
      expect(connections().count()).toBe(1);

      open.pop()?.body.destroy();

      await eventually('the book to forget it', () => connections().count() === 0);
      await eventually('nobody to listen', async () => (await home.subscribers('sess:ended')) === 0);
    });
  });

  it.each(SPARED)('%s goes on when its session ends', async (_, path) => {
    await start();
    const browser = await application.loggedIn();
    const spared = await visit(browser, path);
    const ends = await visit(browser, '/streams/open');
    expect(connections().count()).toBe(1);

    await browser.post('/logout');

    await endOf(ends);
    expect(spared.end).toBeUndefined();
  });

  it('an event stream ends when the application closes', async () => {
    await start();
    const browser = await application.loggedIn();
    const response = await visit(browser, '/streams/open');

    const closing = application.close();

    expect(await endOf(response)).toBe('whole');
    browser.close(); // Node's server waits for the next request on its connection.
    await closing;
  });

  it('a file that is broken off is read no more', async () => {
    await start();
    const browser = await application.loggedIn();
    const response = await visit(browser, '/streams/file');
    await hears(response, 'half');

    await browser.post('/logout');

    const [file] = application.app.get(StreamsController).files;
    await eventually('the file to be closed', () => file?.destroyed);
  });

  it('a response that has ended is forgotten', async () => {
    await start();
    const browser = await application.loggedIn();

    expect((await browser.get('/streams/short')).json()).toEqual({ amount: 1 });

    await eventually('the book to forget it', () => connections().count() === 0);
  });

  it('a response that has not begun is broken off, too', async () => {
    await start();
    const browser = await application.loggedIn();
    const gate = application.app.get(Gates).named('slow');
    const response = browser.get('/streams/slow');
    const failure = expect(response).rejects.toThrow(/socket hang up|ECONNRESET/);
    await gate.reached;

    await registry().revokeAll('1');

    await failure;
    gate.open();
  });

  it.each([
    ['a logout', 'logout', null],
    ['a login of somebody else', 'login', 'Grace'],
  ])('the response to %s is sent, though its route is marked', async (_, path, name) => {
    await start();
    const browser = await application.loggedIn();
    const gate = application.app.get(Gates).named('left');
    const sending = browser.post(`/streams/${path}`);
    await gate.reached;
    await eventually('the former session to end', () => connections().count() === 0);
    await browser.tab().get('/public'); // Whatever is done at once has been done.
    gate.open();

    expect((await sending).json()).toEqual({ name });
    expect((await browser.get('/public')).json()).toEqual({ name });
  });

  it('an event stream whose session ends while it is opened ends, too', async () => {
    await start({ connections: { recheck: '30s' } });
    const gate = application.app.get(Gates).named('guard');
    const opening = visit(await application.loggedIn(), '/streams/late');
    await gate.reached;

    await registry().revokeAll('1');
    gate.open();

    expect(await endOf(await opening)).toBe('whole');
  });

  it('an event stream that its client does not read is cut off', async () => {
    await start();
    const browser = await application.loggedIn();
    const { body } = await browser.open('GET', '/streams/large');
    await eventually('the stream', () => news.observed);
    news.next('x'.repeat(32 * MB));

    const tab = browser.tab();
    await tab.post('/logout');
    tab.close();

    await eventually('the source to be unsubscribed', () => !news.observed);
    const server = application.app.getHttpServer() as Server;
    const count = () => new Promise<number>((resolve) => server.getConnections((_, many) => resolve(many)));
    await eventually('the connection to be closed', async () => (await count()) === 0);
    await expect(text(body)).rejects.toThrow('aborted');
  });

  it('an application without such routes is not changed', async () => {
    await start({}, []);
    expect(application.app.get(ApplicationConfig).getGlobalInterceptors()).toEqual([]);
  });
});

it('a response over HTTP/2 is broken off alone, and its client knows that', async () => {
  await start({}, CONTROLLERS, new FastifyAdapter({ http2: true }));
  const client = connect(application.url);
  clients.push(client);
  const request = (headers: Record<string, string>) => client.request(headers);
  const login = request({ ':method': 'POST', ':path': '/login', 'content-type': 'application/json' });
  login.end(JSON.stringify({ username: 'ada', password: 'lovelace' }));
  const cookie = await new Promise<string>((resolve) => {
    login.on('response', ({ 'set-cookie': [first = ''] = [] }) => resolve(first.split(';')[0] ?? ''));
  });
  const file = request({ ':path': '/streams/file', cookie });
  const stream = request({ ':path': '/streams/open', cookie });
  const read = Promise.allSettled([text(file), text(stream)]);
  await eventually('both', () => connections().count() === 2);

  await registry().revokeAll('1');

  const [broken, whole] = await read;
  expect([broken.status, whole.status, client.destroyed]).toEqual(['rejected', 'fulfilled', false]);
});
