import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, connect, createServer as createTcpServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { Browser, type BrowserOptions } from './browser.js';
import { DelayProxy } from './delay-proxy.js';
import { eventually } from './eventually.js';
import { Gates } from './gate.js';
import { ProcessWatch } from './process-watch.js';
import { RedisMonitor } from './redis-monitor.js';
import { RedisServer } from './redis-server.js';
import { TestClock } from '../../lib/testing/index.js';

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

describe('RedisServer', () => {
  async function started(...options: Parameters<typeof RedisServer.start>) {
    const redis = await RedisServer.start(...options);
    closers.push(() => redis.stop());
    return redis;
  }

  it('counts calls per command', async () => {
    const redis = await started();
    const client = await redis.client();
    await client.set('a', '1');
    await client.get('a');
    await client.get('b');

    expect(await redis.commandStats()).toMatchObject({ set: 1, get: 2 });
  });

  it('comes back on the same port, empty, after a crash', async () => {
    const redis = await started();
    const { port } = redis;
    await (await redis.client()).set('a', '1');
    await redis.kill();
    await expect(connected(port)).rejects.toThrow('ECONNREFUSED');

    await redis.restart();

    expect(redis.port).toBe(port);
    expect(await (await redis.client()).dbSize()).toBe(0);
  });

  it('answers nothing while paused, and everything afterwards', async () => {
    const redis = await started();
    const client = await redis.client();
    redis.pause();
    const ping = client.ping();
    expect(await Promise.race([ping, sleep(50, 'silence')])).toBe('silence');

    redis.resume();
    expect(await ping).toBe('PONG');
  });

  it('stops while paused', async () => {
    const redis = await started();
    redis.pause();
    await redis.stop();
    await expect(connected(redis.port)).rejects.toThrow('ECONNREFUSED');
  });

  it('takes arguments, and says why the server refused them', async () => {
    const redis = await started({ args: ['--maxmemory', '2mb'] });
    expect(await (await redis.client()).configGet('maxmemory')).toEqual({ maxmemory: '2097152' });

    await expect(started({ args: ['--no-such-option', '1'] })).rejects.toThrow(/did not start[^]*no-such-option/);
    await expect(started({ port: redis.port })).rejects.toThrow(/address already in use/i);
  });

  it('starts many at once', async () => {
    const servers = await Promise.all(Array.from({ length: 8 }, () => started()));
    expect(new Set(servers.map(({ port }) => port)).size).toBe(8);
  });
});

describe('RedisMonitor', () => {
  it('tells in their order the commands of some work, and those within a script apart', async () => {
    const redis = await RedisServer.start();
    closers.push(() => redis.stop());
    const client = await redis.client();
    const monitor = await RedisMonitor.start(redis);
    closers.push(() => monitor.stop());
    await client.set('before', '1');

    const commands = await monitor.during(async () => {
      await client.set('a', 'two "words"');
      await client.eval("return redis.call('get', 'a')");
    });

    expect(commands).toEqual([
      { name: 'set', args: ['a', 'two \\"words\\"'], inScript: false },
      { name: 'eval', args: ["return redis.call('get', 'a')", '0'], inScript: false },
      { name: 'get', args: ['a'], inScript: true },
    ]);
  });
});

describe('ProcessWatch', () => {
  it('hears of unhandled rejections and of warnings, and gives Jest its listener back', async () => {
    const watch = new ProcessWatch();
    const error = new Error('nobody cares');
    void Promise.reject(error);
    process.emitWarning('look out');
    await eventually('both', () => watch.unhandled.length === 1 && watch.warnings.length === 1);
    watch.stop();

    expect(watch.unhandled).toEqual([error]);
    expect(watch.warnings).toEqual(['Warning: look out']);
  });
});

describe('Gates', () => {
  it('hold back who comes until they are opened, and tell that somebody has come', async () => {
    const gate = new Gates().named('slow');
    const passed: string[] = [];
    const first = gate.pass().then(() => passed.push('first'));
    await gate.reached;
    expect(passed).toEqual([]);

    gate.open();
    await first;
    await gate.pass();
    expect(passed).toEqual(['first']);
  });
});

describe('Browser', () => {
  /** A server that answers with what `respond` does, and a browser on it. */
  async function browserOn(respond: RequestListener, options?: BrowserOptions) {
    const server = createServer(respond).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const browser = new Browser(addressOf(server), options);
    closers.push(
      () => server.close(),
      () => browser.close(),
    );
    return browser;
  }

  /** `/?set=...` sets these cookies, every response names the cookies that came. */
  const echoCookies: RequestListener = (request, response) => {
    const set = new URL(request.url ?? '', 'http://x').searchParams.getAll('set');
    response.setHeader('Set-Cookie', set).end(request.headers.cookie ?? 'none');
  };

  const setting = (...cookies: string[]) =>
    `/?${cookies.map((cookie) => `set=${encodeURIComponent(cookie)}`).join('&')}`;

  it('keeps cookies, shows every Set-Cookie as it came, and sends the longest path first', async () => {
    const browser = await browserOn(echoCookies);
    const { setCookies } = await browser.get(setting('a=1; Path=/', 'b=s%3A2; Path=/admin; HttpOnly'));

    expect(setCookies).toEqual(['a=1; Path=/', 'b=s%3A2; Path=/admin; HttpOnly']);
    expect((await browser.get('/')).text).toBe('a=1');
    expect((await browser.get('/administrator')).text).toBe('a=1');
    expect((await browser.get('/admin')).text).toBe('b=s%3A2; a=1');
    expect((await browser.get('/admin/users')).text).toBe('b=s%3A2; a=1');
  });

  it('forgets cookies that a response expires, and those whose time has come', async () => {
    const clock = new TestClock();
    const browser = await browserOn(echoCookies, { now: clock.now });
    await browser.get(
      setting('a=1', 'b=2; Max-Age=60', `c=3; Expires=${new Date(clock.now() + 90_000).toUTCString()}`),
    );
    await browser.get(setting('a=; Expires=Thu, 01 Jan 1970 00:00:00 GMT'));
    expect((await browser.get('/')).text).toBe('b=2; c=3');

    clock.advance('1m');
    expect((await browser.get('/')).text).toBe('c=3');
    await browser.get(setting('c=; Max-Age=0; Expires=Fri, 01 Jan 2100 00:00:00 GMT'));
    expect(browser.cookies.size).toBe(0);
  });

  it('refuses Secure cookies over plain http unless told to trust it, and misused prefixes always', async () => {
    const cookies = setting('a=1; Secure', '__Host-b=2; Secure; Path=/', '__Host-c=3; Secure; Path=/x', '__Secure-d=4');

    const wary = await browserOn(echoCookies);
    await wary.get(cookies);
    expect((await wary.get('/')).text).toBe('none');

    const trusting = await browserOn(echoCookies, { trustSecure: true });
    await trusting.get(cookies);
    expect((await trusting.get('/')).text).toBe('a=1; __Host-b=2');
  });

  it('lets a test read and write cookies, and replace the whole header', async () => {
    const browser = await browserOn(echoCookies);
    browser.cookies.set('sid', 'forged');
    expect((await browser.get(setting('sid=real; Path=/'))).text).toBe('sid=forged');
    expect(browser.cookies.get('sid')).toBe('real');
    expect((await browser.get('/', { headers: { Cookie: 'sid=1; sid=2' } })).text).toBe('sid=1; sid=2');
    expect((await browser.get('/', { headers: { cookie: undefined } })).text).toBe('none');

    browser.cookies.delete('sid');
    expect((await browser.get('/')).text).toBe('none');
  });

  it('shares its jar with a tab and copies it for a fork', async () => {
    const browser = await browserOn(echoCookies);
    const [tab, fork] = [browser.tab(), browser.fork()];
    await browser.get(setting('a=1'));
    expect((await tab.get('/')).text).toBe('a=1');
    expect((await fork.get('/')).text).toBe('none');
    closers.push(
      () => tab.close(),
      () => fork.close(),
    );
  });

  it('posts JSON, forms and raw bodies', async () => {
    const browser = await browserOn((request, response) => {
      response.write(`${request.headers['content-type']} ${request.headers['content-length']} `);
      request.pipe(response);
    });
    expect((await browser.post('/', { json: { a: 1 } })).text).toBe('application/json 7 {"a":1}');
    expect((await browser.post('/', { form: { a: 'ü &' } })).text).toBe(
      'application/x-www-form-urlencoded 12 a=%C3%BC+%26',
    );
    expect((await browser.post('/', { body: '{', headers: { 'Content-Type': 'text/x' } })).text).toBe('text/x 1 {');
  });

  it('follows redirects only when asked, as GET after a POST, with the cookies set on the way', async () => {
    const browser = await browserOn((request, response) => {
      if (request.url === '/login') response.writeHead(302, { location: '/home', 'set-cookie': 'a=1' }).end();
      else if (request.url === '/loop') response.writeHead(307, { location: '/loop' }).end();
      else response.end(`${request.method} ${request.headers.cookie}`);
    });
    expect(await browser.post('/login', { json: {} })).toMatchObject({ status: 302, headers: { location: '/home' } });
    expect(await browser.post('/login', { json: {}, follow: true })).toMatchObject({ status: 200, text: 'GET a=1' });
    await expect(browser.get('/loop', { follow: true })).rejects.toThrow('redirects on and on');
  });

  it('keeps its connection alive', async () => {
    const ports = new Set<number | undefined>();
    const browser = await browserOn((request, response) => {
      ports.add(request.socket.remotePort);
      response.end('{"ok":true}');
    });
    for (let i = 0; i < 3; i++) expect((await browser.get('/')).json()).toEqual({ ok: true });
    expect(ports.size).toBe(1);
  });

  it('shows the head of a response before its body has ended', async () => {
    const browser = await browserOn((_request, response) => {
      response.setHeader('Set-Cookie', 'a=1').write('first');
    });
    const { status, body } = await browser.open('GET', '/');
    expect(status).toBe(200);
    expect(browser.cookies.get('a')).toBe('1');
    expect(String((await once(body, 'data'))[0])).toBe('first');
    body.destroy();
  });

  it('gives up on silence, before the head and within the body, and says on what', async () => {
    const browser = await browserOn(
      (request, response) => {
        if (request.url === '/half') response.write('half');
      },
      { timeout: 50 },
    );
    await expect(browser.get('/none')).rejects.toThrow(/GET .*\/none was not answered within 50 ms/);
    await expect(browser.get('/half')).rejects.toThrow(/GET .*\/half was not answered within 50 ms/);
  });
});

describe('DelayProxy', () => {
  /** A server that sends back what it gets, behind a proxy, and one connection through it. */
  async function lineWith(delay: number) {
    const server = createTcpServer((socket) => socket.on('error', () => undefined).pipe(socket)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const proxy = await DelayProxy.start({ port: (server.address() as AddressInfo).port, delay });
    const socket = await connected(proxy.port);
    let received = '';
    socket.on('data', (chunk) => (received += String(chunk)));
    closers.push(
      () => server.close(),
      () => proxy.close(),
      () => socket.destroy(),
    );
    return { proxy, socket, received: () => received };
  }

  it('delays each way', async () => {
    const { socket, received } = await lineWith(40);
    const start = performance.now();
    socket.write('a');
    await eventually('the echo', () => received() === 'a');
    expect(performance.now() - start).toBeGreaterThanOrEqual(80);
  });

  it('keeps the order when the delay shrinks', async () => {
    const { proxy, socket, received } = await lineWith(50);
    socket.write('a');
    await sleep(5);
    proxy.delay = 0;
    socket.write('b');
    await eventually('the echo', () => received() === 'ab');
  });

  it('holds everything back while paused, and loses nothing', async () => {
    const { proxy, socket, received } = await lineWith(0);
    proxy.pause();
    socket.write('a');
    await sleep(30);
    expect(received()).toBe('');

    proxy.resume();
    await eventually('the echo', () => received() === 'a');
  });

  it('tells how much it holds back', async () => {
    const { proxy, socket } = await lineWith(0);
    proxy.pause();
    socket.write('a');
    await eventually('the byte to wait', () => proxy.held === 1);

    proxy.resume();
    expect(proxy.held).toBe(0);
  });

  it('resets connections', async () => {
    const { proxy, socket } = await lineWith(0);
    const error = once(socket, 'error');
    proxy.resetAll();
    expect((await error)[0]).toMatchObject({ code: 'ECONNRESET' });
    await eventually('the proxy to forget the connection', () => proxy.connections === 0);
  });

  it('resets a connection that is just ending', async () => {
    const { proxy, socket } = await lineWith(0);
    socket.on('error', () => undefined);
    proxy.pause();
    socket.end('a');
    await eventually('the end to arrive', () => proxy.held === 2);
    proxy.resume();
    proxy.resetAll();
    await eventually('nothing to be open', () => proxy.connections === 0);
  });

  it('refuses new connections, keeps the open one, and accepts again on the same port', async () => {
    const { proxy, socket, received } = await lineWith(0);
    proxy.refuse();
    await expect(connected(proxy.port)).rejects.toThrow('ECONNREFUSED');
    socket.write('still here');
    await eventually('the echo', () => received() === 'still here');

    await proxy.accept();
    (await connected(proxy.port)).destroy();
  });

  it('passes the end of a stream on, after what came before it', async () => {
    const { socket, received } = await lineWith(20);
    socket.end('bye');
    await once(socket, 'end');
    expect(received()).toBe('bye');
  });

  it('resets the client when nobody listens behind it', async () => {
    const { proxy } = await lineWith(0);
    const nowhere = await DelayProxy.start({ port: proxy.port });
    await proxy.close();
    const socket = await connected(nowhere.port);
    expect((await once(socket, 'error'))[0]).toMatchObject({ code: 'ECONNRESET' });
    await nowhere.close();
  });
});

describe('eventually', () => {
  it('resolves with the first truthy answer, errors on the way notwithstanding', async () => {
    let probes = 0;
    const response = await eventually('the third probe', () => {
      if (++probes === 1) throw new Error('not yet');
      return Promise.resolve(probes === 3 && 'done');
    });
    expect(response).toBe('done');
  });

  it('names what it waited for and what it saw last', async () => {
    const options = { timeout: 20 };
    await expect(eventually('Godot', () => 0, options)).rejects.toThrow('Waited 20 ms in vain for Godot (last: 0)');
    await expect(eventually('Godot', () => Promise.reject(new Error('tree')), options)).rejects.toThrow(/Godot.*tree/);
    await expect(eventually('Godot', () => new Promise(() => undefined), options)).rejects.toThrow('Godot');
  });
});

describe('TestClock', () => {
  it('moves only when told, by milliseconds or by a duration', () => {
    const clock = new TestClock(new Date('2026-01-01'));
    expect(new Date(clock.now()).toISOString()).toBe('2026-01-01T00:00:00.000Z');
    clock.advance(500);
    clock.advance('1h');
    clock.advance(0);
    expect(new Date(clock.now()).toISOString()).toBe('2026-01-01T01:00:00.500Z');
    expect(() => clock.advance('soon')).toThrow('TestClock.advance');
    expect(new TestClock().now()).toBeGreaterThan(Date.now() - 10_000);
  });
});

async function connected(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  await once(socket, 'connect');
  return socket;
}

function addressOf(server: Server): string {
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
