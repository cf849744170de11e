import { jest } from '@jest/globals';
import { connect } from 'node:net';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import expressSession, { type Store } from 'express-session';
import type { SessionResponse } from '../../lib/http/session-request.js';
import { Browser } from '../support/browser.js';
import { sessionLoop } from '../support/session-loop.js';
import {
  call,
  closeServers,
  type Handler,
  type Handlers,
  type ExpressSession,
  type Middleware,
  read,
  serve,
  set,
} from './serve.js';

const SECRET = 'a secret that is only good for tests, 32 bytes';

const expressSessionAlone = (store: Store = new expressSession.MemoryStore()): Middleware =>
  expressSession({
    name: 'sid',
    secret: SECRET,
    resave: false,
    saveUninitialized: false,
    store,
    cookie: { maxAge: 60_000, sameSite: 'lax' },
  }) as unknown as Middleware;

const loopAlone = (store?: Store): Middleware => sessionLoop({ secret: SECRET, lifetime: { idle: 60_000 }, store }).use;

const browsers: Browser[] = [];

afterEach(async () => {
  browsers.splice(0).forEach((browser) => browser.close());
  await closeServers();
});

async function browse(middleware: Middleware, handlers: Handlers): Promise<Browser> {
  const browser = new Browser(await serve(middleware, handlers));
  browsers.push(browser);
  return browser;
}

describe.each([
  ['express-session', expressSessionAlone],
  ['the request loop', loopAlone],
])('on a bare Node server, %s', (_name, middleware) => {
  it('keeps what a handler stored for the next request, and hands out one cookie', async () => {
    const browser = await browse(middleware(), { set, read });
    const answer = await browser.get('/set');

    expect(answer.setCookies).toEqual([
      expect.stringMatching(/^sid=s%3A[^;]+; Path=\/; Expires=[^;]+; HttpOnly; SameSite=Lax$/),
    ]);
    const next = await browser.get('/read');
    expect(next.json()).toEqual({ a: 1 });
    expect(next.setCookies).toEqual([]);
  });

  it('sets no cookie where nothing is stored', async () => {
    const browser = await browse(middleware(), { read });
    const answer = await browser.get('/read');

    expect([answer.status, answer.text, answer.setCookies]).toEqual([200, '{}', []]);
  });

  it('stores nothing under an id that somebody made up', async () => {
    const store = new expressSession.MemoryStore();
    const use = middleware(store);
    const browser = await browse(
      (request, response, next) => {
        use(request, response, (error) => {
          Object.assign(request, { sessionID: () => 'bogus' });
          next(error);
        });
      },
      { set, read },
    );

    expect((await browser.get('/set')).setCookies).toEqual([]);
    expect((await browser.get('/read')).json()).toEqual({});
    expect(Object.keys((store as unknown as { sessions: object }).sessions)).toEqual([]);
  });

  it('keeps a change within what was stored', async () => {
    const browser = await browse(middleware(), {
      read,
      set: (session, _request, response) => {
        session['deep'] = { list: [{ n: 1 }] };
        response.end();
      },
      change: (session, _request, response) => {
        (session['deep'] as { list: { n: number }[] }).list[0]!.n = 2;
        response.end();
      },
    });
    await browser.get('/set');
    await browser.get('/change');

    expect((await browser.get('/read')).json()).toEqual({ deep: { list: [{ n: 2 }] } });
  });

  it('forgets what a handler deleted', async () => {
    const browser = await browse(middleware(), {
      set,
      read,
      delete: (session, _request, response) => {
        delete session['a'];
        response.end();
      },
    });
    await browser.get('/set');
    await browser.get('/delete');

    expect((await browser.get('/read')).json()).toEqual({});
  });

  it('regenerates under another id, without the old data', async () => {
    const browser = await browse(middleware(), {
      set,
      read,
      regenerate: async (session, request, response) => {
        const before = request.sessionID;
        await call(session, 'regenerate');
        (request.session as ExpressSession)['b'] = 2;
        response.end(String(before !== request.sessionID && request.session?.id === request.sessionID));
      },
    });
    await browser.get('/set');
    const old = browser.fork();
    const answer = await browser.get('/regenerate');

    expect(answer.text).toBe('true');
    expect(answer.setCookies).toHaveLength(1);
    expect((await browser.get('/read')).json()).toEqual({ b: 2 });
    expect((await old.get('/read')).json()).toEqual({});
  });

  it('destroys: no session for the rest of the request, nor on the next', async () => {
    const browser = await browse(middleware(), {
      set,
      read,
      destroy: async (session, request, response) => {
        await call(session, 'destroy');
        response.end(typeof request.session);
      },
    });
    await browser.get('/set');
    const answer = await browser.get('/destroy');

    expect([answer.text, answer.setCookies]).toEqual(['undefined', []]);
    expect((await browser.get('/read')).json()).toEqual({});
  });

  it('saves when asked to, and what changes after that as well', async () => {
    const browser = await browse(middleware(), {
      read,
      save: async (session, _request, response) => {
        session['a'] = 1;
        await call(session, 'save');
        session['b'] = 2;
        response.end();
      },
    });
    await browser.get('/save');

    expect((await browser.get('/read')).json()).toEqual({ a: 1, b: 2 });
  });

  it('saves when asked to though nothing has changed, and does not otherwise', async () => {
    const store = new expressSession.MemoryStore();
    const written = jest.spyOn(store, 'set');
    const browser = await browse(middleware(store), {
      set,
      read,
      save: async (session, _request, response) => {
        await call(session, 'save');
        response.end();
      },
    });
    await browser.get('/set');
    await browser.get('/read');
    expect(written).toHaveBeenCalledTimes(1);

    await browser.get('/save');
    expect(written).toHaveBeenCalledTimes(2);
  });

  it('leaves a request alone that has a session of another make', async () => {
    const session = middleware();
    const browser = await browse(
      (request, response, next) => {
        Object.assign(request, { session: { another: 'make' } });
        session(request, response, next);
      },
      { read },
    );
    const answer = await browser.get('/read');

    expect([answer.text, answer.setCookies]).toEqual(['{"another":"make"}', []]);
  });

  it('has no session while the store says that it is disconnected', async () => {
    const store = new expressSession.MemoryStore();
    const browser = await browse(middleware(store), { set, read });
    await browser.get('/set');
    const newcomer = browser.fork();
    newcomer.cookies.clear();

    store.emit('disconnect');
    expect((await browser.get('/read')).text).toBe('no session');
    expect((await newcomer.get('/read')).text).toBe('no session');

    store.emit('connect');
    expect((await browser.get('/read')).text).toBe('{"a":1}');
    expect((await newcomer.get('/read')).text).toBe('{}');
  });

  it('reloads what is stored', async () => {
    const browser = await browse(middleware(), {
      set,
      read,
      reload: async (session, request, response) => {
        session['a'] = 'changed';
        await call(session, 'reload');
        response.end(String((request.session as ExpressSession)['a']));
      },
    });
    await browser.get('/set');

    expect((await browser.get('/reload')).text).toBe('1');
    expect((await browser.get('/read')).json()).toEqual({ a: 1 });
  });

  it.each<[string, Parameters<SessionResponse['writeHead']>]>([
    ['an object', [201, { 'X-Mark': 'yes', 'Set-Cookie': 'own=1' }]],
    ['a flat array', [201, ['X-Mark', 'yes', 'Set-Cookie', 'own=1']]],
    ['a reason and an object', [201, 'Made', { 'X-Mark': 'yes', 'Set-Cookie': ['own=1'] }]],
  ] as never)('leaves the headers alone that writeHead gets as %s', async (_how, args) => {
    const browser = await browse(middleware(), {
      set: (session, _request, response) => {
        session['a'] = 1;
        response.writeHead(...args).end('made');
      },
    });
    const answer = await browser.get('/set');

    expect([answer.status, answer.text, answer.headers['x-mark']]).toEqual([201, 'made', 'yes']);
    expect(answer.setCookies).toEqual(['own=1', expect.stringMatching(/^sid=/)]);
  });

  it('streams, with the cookie in front and every byte behind it', async () => {
    const chunks = Array.from({ length: 50 }, (_, index) => `${index}:${'x'.repeat(10_000)}\n`);
    const browser = await browse(middleware(), {
      read,
      stream: async (session, _request, response) => {
        session['a'] = 1;
        await pipeline(Readable.from(chunks), response);
      },
    });
    const answer = await browser.get('/stream');

    expect(answer.setCookies).toHaveLength(1);
    expect(answer.text).toBe(chunks.join(''));
    expect((await browser.get('/read')).json()).toEqual({ a: 1 });
  });

  it('saves what changes between the first byte and the last', async () => {
    const browser = await browse(middleware(), {
      set,
      read,
      late: async (session, _request, response) => {
        await new Promise((done) => response.write('first,', done));
        session['late'] = true;
        response.end('last');
      },
    });
    await browser.get('/set');

    expect((await browser.get('/late')).text).toBe('first,last');
    expect((await browser.get('/read')).json()).toEqual({ a: 1, late: true });
  });

  it.each([
    ['HEAD', 200, { 'Content-Length': '5' }],
    ['GET', 204, {}],
    ['GET', 304, { ETag: '"1"' }],
    ['GET', 303, { Location: '/read' }],
  ])('answers %s with a %i without a body, and saves', async (method, status, headers) => {
    const browser = await browse(middleware(), {
      read,
      set: (session, _request, response) => {
        session['a'] = 1;
        response.writeHead(status, headers).end();
      },
    });
    const answer = await browser.request(method, '/set');

    expect([answer.status, answer.text, answer.setCookies.length]).toEqual([status, '', 1]);
    expect(answer.headers).toMatchObject(
      Object.fromEntries(Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value])),
    );
    expect((await browser.get('/read')).json()).toEqual({ a: 1 });
  });

  it('keeps pipelined requests on one connection apart', async () => {
    const browser = await browse(middleware(), { set, read });
    await browser.get('/set');
    const { host, hostname, port } = new URL(browser.baseUrl);
    const socket = connect(Number(port), hostname);
    const head = `Host: ${host}\r\nCookie: ${browser.cookies.headerFor(new URL(browser.baseUrl)) ?? ''}\r\n`;
    socket.write(`GET /read HTTP/1.1\r\n${head}\r\nGET /set HTTP/1.1\r\n${head}\r\n`);
    socket.write(`GET /read HTTP/1.1\r\n${head}Connection: close\r\n\r\n`);

    const bodies = (await text(socket)).split(/HTTP\/1\.1 200 OK\r\n/).slice(1);
    expect(bodies.map((body) => body.match(/\{"a":1\}|set/)?.[0])).toEqual(['{"a":1}', 'set', '{"a":1}']);
  });

  it.each(['writeHead', 'flushHeaders', 'write', 'end'] as const)(
    'answers by the %s that other middleware has given this response, and no other response by it',
    async (method) => {
      const session = middleware();
      const called: (string | undefined)[] = [];
      const answered: Handler = (_session, _request, response) => {
        response.writeHead(200);
        response.flushHeaders();
        response.write('answered');
        response.end();
      };
      const browser = await browse(
        (request, response, next) => {
          const original = response[method].bind(response) as (...args: unknown[]) => unknown;
          const changed = (...args: unknown[]) => {
            called.push(request.url);
            return original(...args);
          };
          Object.assign(response, request.url === '/changed' && { [method]: changed });
          session(request, response, next);
        },
        { changed: answered, other: answered },
      );

      expect((await browser.get('/changed')).text).toBe('answered');
      expect((await browser.get('/other')).text).toBe('answered');
      expect([...new Set(called)]).toEqual(['/changed']);
    },
  );

  it('goes on without a session where the request shows none that has not ended', async () => {
    const browser = await browse(middleware(), { read });
    for (const cookie of ['sid=', 'sid=s%3Aabc.def', 'sid=%E0%A4%A', `sid=${'x'.repeat(7_000)}`, 'sid', '=;;=']) {
      const answer = await browser.get('/read', { headers: { cookie } });
      expect([answer.status, answer.text, answer.setCookies]).toEqual([200, '{}', []]);
    }
  });
});

it('touch() asks for no other age than the session has, though the clock ticks while it runs', async () => {
  const store = new expressSession.MemoryStore();
  const written = jest.spyOn(store, 'set');
  const browser = await browse(loopAlone(store), {
    set,
    touch: (session, _request, response) => {
      const start = Date.now();
      let ticks = 0;
      const clock = jest.spyOn(Date, 'now').mockImplementation(() => start + ticks++);
      session.touch();
      clock.mockRestore();
      response.end(String(session.cookie.originalMaxAge));
    },
  });
  await browser.get('/set');

  expect((await browser.get('/touch')).text).toBe('60000');
  expect(written).toHaveBeenCalledTimes(1);
});

it('a response that takes the place of one which could not be saved has nothing of its status line', async () => {
  const browser = await browse(loopAlone(), {
    set: (session, _request, response) => {
      session['unserializable'] = 1n;
      response.statusCode = 201;
      response.statusMessage = 'All is well';
      response.end();
    },
  });
  const { body } = await browser.open('GET', '/set');

  expect([body.statusCode, body.statusMessage]).toEqual([500, 'Internal Server Error']);
});

describe('while the response waits for the save', () => {
  const changed =
    (handler: Handler): Handler =>
    (session, request, response) => {
      session['changes'] = String(Math.random());
      return handler(session, request, response);
    };

  it('the handler finds it begun, as it has for all that the handler can tell', async () => {
    const browser = await browse(loopAlone(), {
      set: changed((_session, _request, response) => {
        const before = response.headersSent;
        response.setHeader('X-Before', 'yes');
        response.end('first');
        const problems = [
          () => response.setHeader('Content-Length', 1),
          () => response.appendHeader('X-After', 'no'),
          () => response.removeHeader('X-Before'),
          () => response.writeHead(404),
        ].map((change) => {
          try {
            change();
            return 'none';
          } catch (error) {
            return (error as NodeJS.ErrnoException).code;
          }
        });
        response.statusCode = 500;
        expect([before, response.headersSent]).toEqual([false, true]);
        expect(problems).toEqual(Array(4).fill('ERR_HTTP_HEADERS_SENT'));
      }),
    });
    const answer = await browser.get('/set');

    expect([answer.status, answer.text, answer.headers['x-before']]).toEqual([200, 'first', 'yes']);
    expect(answer.headers).not.toHaveProperty('x-after');
  });

  it('a second response does not spoil the first', async () => {
    const browser = await browse(loopAlone(), {
      set: changed((_session, _request, response) => {
        response.end('first');
        response.end('second, longer');
      }),
    });

    expect(await browser.get('/set')).toMatchObject({ status: 200, text: 'first', headers: { 'content-length': '5' } });
    expect(await browser.get('/set')).toMatchObject({ status: 200, text: 'first', headers: { 'content-length': '5' } });
  });

  it.each<[string, Handler]>([
    ['a status', (_session, _request, response) => response.writeHead(99).end()],
    ['a header', (_session, _request, response) => response.writeHead(200, { 'X-Name': 'two\nlines' }).end()],
    ['a body', (_session, _request, response) => response.end(123)],
    ['a chunk', (_session, _request, response) => response.write({})],
  ])('%s that Node refuses is an error response, as without the wait', async (_what, handler) => {
    const browser = await browse(loopAlone(), { set: changed(handler) });

    expect((await browser.get('/set')).status).toBe(500);
    expect((await browser.get('/set')).status).toBe(500);
  });

  it('a chunk that Node refuses once the response has begun breaks it off', async () => {
    const browser = await browse(loopAlone(), {
      set: changed((_session, _request, response) => {
        response.write('first');
        response.write(123);
      }),
    });

    await expect(browser.get('/set')).rejects.toThrow(/aborted|hang up/);
  });

  it('the length of the response and what end() is told to call back are as Node has them', async () => {
    let calledBack = false;
    const browser = await browse(loopAlone(), {
      set: changed((_session, _request, response) => {
        response.end('ä body', 'utf8', () => (calledBack = true));
      }),
    });

    expect(await browser.get('/set')).toMatchObject({ text: 'ä body', headers: { 'content-length': '7' } });
    expect(calledBack).toBe(true);
  });
});
