import { RequestMethod } from '@nestjs/common';
import session from 'express-session';
import { createClient, createCluster, createSentinel } from 'redis';
import {
  InvalidOptionError,
  type RedisCommands,
  type SessionAuthOptions,
  type SessionRequest,
} from '../../lib/index.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { milliseconds } from '../../lib/validation/duration.js';
import { SECRET, SnapshotSerializer } from '../support/application.js';

const MINUTE = 60_000;
/** Of no package that is known here. */
const store = new (class extends session.Store {
  get() {}
  set() {}
  destroy() {}
})();
const REDIS = { url: 'redis://localhost:6379' };
const command = () => Promise.resolve(null);
const client: RedisCommands = { get: command, set: command, del: command, eval: command, evalSha: command };
const cluster = { rootNodes: [{ url: 'redis://10.0.0.1:7000' }, { socket: { host: '10.0.0.2', port: 7000 } }] };
const sentinel = { name: 'm', sentinelRootNodes: [{ host: '10.0.0.1', port: 26379 }] };

type Given = Partial<Record<keyof SessionAuthOptions, unknown>>;

function resolve(options: Given = {}, env?: string) {
  return resolveOptions({ secret: SECRET, ...options } as SessionAuthOptions, env);
}

/** What resolving these options is refused with. */
function refusal(options: Given, env?: string): InvalidOptionError {
  try {
    resolve(options, env);
  } catch (error) {
    expect(error).toBeInstanceOf(InvalidOptionError);
    return error as InvalidOptionError;
  }
  throw new Error('nothing was refused');
}

describe('the defaults', () => {
  it('are those of the documentation, with every duration in milliseconds', () => {
    expect(resolve()).toEqual({
      secrets: [SECRET],
      redis: undefined,
      store: undefined,
      prefix: 'sess:',
      cookie: { name: 'sid', path: '/', domain: undefined, sameSite: 'lax', secure: 'auto', partitioned: false },
      lifetime: {
        idle: 60 * MINUTE,
        absolute: 24 * 60 * MINUTE,
        touchEvery: 6 * MINUTE,
        rotateEvery: 15 * MINUTE,
        rotationGrace: MINUTE / 2,
      },
      maxSessions: undefined,
      connections: { recheck: 30_000 },
      trustedOrigins: [],
      crossSite: 'refuse',
      onStoreError: 'fail',
      redisTimeout: 500,
      warnAtBytes: 65_536,
      knownDevices: false,
      device: expect.any(Function),
      serializers: undefined,
      exclude: [],
      warnings: [],
    });
  });

  it.each(['production', 'prod', 'staging', 'Development', 'testing', ''])(
    'name the cookie __Host-Http-sid and make it Secure where NODE_ENV is "%s"',
    (env) => {
      expect(resolve({ redis: REDIS }, env).cookie).toEqual({
        name: '__Host-Http-sid',
        path: '/',
        domain: undefined,
        sameSite: 'lax',
        secure: true,
        partitioned: false,
      });
    },
  );

  it.each([undefined, 'development', 'test'])('are lenient where NODE_ENV is %s', (env) => {
    expect(resolve({ secret: 'keyboard' }, env)).toMatchObject({
      cookie: { name: 'sid', secure: 'auto' },
      redis: undefined,
      warnings: [expect.any(String), expect.any(String)],
    });
  });

  it('remember the address and the user agent of a device, the latter cut short', () => {
    const { device } = resolve();
    const remembered = (request: object) => device && device(request as SessionRequest);
    const headers = { 'user-agent': 'x'.repeat(1000) };

    expect(remembered({ headers, socket: { remoteAddress: '192.0.2.1' } })).toEqual({
      ip: '192.0.2.1',
      userAgent: 'x'.repeat(256),
    });
    expect(remembered({ ip: '192.0.2.7', headers: {}, socket: {} })).toEqual({ ip: '192.0.2.7' });
  });

  it('touch every tenth of the idle time that was chosen', () => {
    expect(resolve({ lifetime: { idle: '10m' } }).lifetime).toMatchObject({ idle: 10 * MINUTE, touchEvery: MINUTE });
  });
});

describe('a lifetime by its name', () => {
  const HOUR = 60 * MINUTE;
  const rotation = { rotateEvery: 15 * MINUTE, rotationGrace: MINUTE / 2 };

  it.each([
    ['aal1', { idle: 720 * HOUR, absolute: 720 * HOUR, touchEvery: HOUR }],
    ['aal2', { idle: HOUR, absolute: 24 * HOUR, touchEvery: 6 * MINUTE }],
    ['aal3', { idle: 15 * MINUTE, absolute: 12 * HOUR, touchEvery: 1.5 * MINUTE }],
  ])('%s is what NIST SP 800-63B-4 says of that level, with secrets that change', (lifetime, limits) => {
    expect(resolve({ lifetime }).lifetime).toEqual({ ...limits, ...rotation });
  });

  it('stands beside a foreign store, whose secrets never change', () => {
    expect(resolve({ lifetime: 'aal2', store }).lifetime).toMatchObject({ idle: HOUR, rotateEvery: Infinity });
  });
});

describe('resolveOptions', () => {
  it.each<[Given, object]>([
    [{ secret: [SECRET, `old ${SECRET}`] }, { secrets: [SECRET, `old ${SECRET}`] }],
    [{ redis: REDIS }, { redis: REDIS }],
    [
      { trustedOrigins: ['https://app.example.com', 'http://localhost:5173', 'capacitor://localhost', /.*/gi] },
      { trustedOrigins: ['https://app.example.com', 'http://localhost:5173', 'capacitor://localhost', /^(?:.*)$/i] },
    ],
    [{ redis: { url: 'rediss://user:secret@redis.example.com:6380/1' } }, {}],
    [{ redis: { url: 'redis://localhost', cluster: undefined } }, { redis: { url: 'redis://localhost' } }],
    [{ redis: { url: 'redis://us%40er:p%25ss@localhost/' } }, {}],
    [{ redis: { ...REDIS, clientSideCache: undefined } }, { redis: REDIS }],
    [{ redis: { cluster } }, { redis: { cluster } }],
    [{ redis: { cluster: { ...cluster, clientSideCache: undefined, defaults: { clientSideCache: undefined } } } }, {}],
    [{ redis: { sentinel } }, { redis: { sentinel } }],
    [{ redis: { sentinel: { ...sentinel, nodeClientOptions: { clientSideCache: undefined } } } }, {}],
    [{ redis: { client } }, { redis: { client } }],
    [{ redis: { url: undefined } }, { redis: undefined }],
    [{ redis: { url: '' } }, { redis: undefined }],
    [{ redis: undefined, store }, { store }],
    [{ prefix: 'app*?[1]:' }, { prefix: 'app*?[1]:' }],
    [{ lifetime: { idle: '30 days', absolute: 5000 } }, { lifetime: { idle: 2_592_000_000, absolute: 5000 } }],
    [
      { lifetime: { rotateEvery: '1h', rotationGrace: 5000 } },
      { lifetime: { rotateEvery: 3_600_000, rotationGrace: 5000 } },
    ],
    [{ lifetime: { rotateEvery: false } }, { lifetime: { rotateEvery: Infinity } }],
    [{ lifetime: { rotateEvery: undefined } }, { lifetime: { rotateEvery: 15 * MINUTE } }],
    [{ store }, { lifetime: { rotateEvery: Infinity } }],
    [{ store, lifetime: { rotateEvery: false } }, { lifetime: { rotateEvery: Infinity } }],
    [{ maxSessions: { limit: 1 } }, { maxSessions: { limit: 1, overflow: 'evict-oldest' } }],
    [{ maxSessions: { limit: 3, overflow: 'evict-oldest' } }, { maxSessions: { limit: 3, overflow: 'evict-oldest' } }],
    [{ maxSessions: { limit: 3, overflow: 'reject' } }, { maxSessions: { limit: 3, overflow: 'reject' } }],
    [{ maxSessions: undefined }, { maxSessions: undefined }],
    [
      { maxSessions: undefined, store },
      { maxSessions: undefined, store },
    ],
    [{ redisTimeout: '2s' }, { redisTimeout: 2000 }],
    [{ redisTimeout: 2 ** 31 - 1 }, { redisTimeout: 2 ** 31 - 1 }],
    [{ connections: undefined }, { connections: { recheck: 30_000 } }],
    [{ connections: {} }, { connections: { recheck: 30_000 } }],
    [{ connections: { recheck: undefined } }, { connections: { recheck: 30_000 } }],
    [{ connections: { recheck: '10s' } }, { connections: { recheck: 10_000 } }],
    [{ connections: { recheck: 2 ** 31 - 1 } }, { connections: { recheck: 2 ** 31 - 1 } }],
    [{ warnAtBytes: 1 }, { warnAtBytes: 1 }],
    [{ warnAtBytes: Infinity }, { warnAtBytes: Infinity }],
    [{ device: false }, { device: false }],
    [{ onStoreError: 'anonymous' }, { onStoreError: 'anonymous' }],
    [{ cookie: { name: '__Host-x', secure: true } }, { cookie: { name: '__Host-x' } }],
    [{ cookie: { name: '__Secure-x', secure: true, path: '/app', domain: 'example.com' } }, {}],
    [{ cookie: { name: '__Http-x', secure: true, path: '/app', domain: 'example.com' } }, {}],
    [{ cookie: { name: '__Host-Http-x', secure: true, path: '/' } }, {}],
    [{ cookie: { name: '__Hosted-x', domain: 'example.com' } }, {}],
    [{ cookie: { name: 'x'.repeat(3890) } }, {}],
    [
      { cookie: { domain: '.example.com', path: '/a/b%20c' } },
      { cookie: { domain: '.example.com', path: '/a/b%20c' } },
    ],
    [{ cookie: { sameSite: 'none', partitioned: true, secure: true } }, {}],
    [{ exclude: ['health', '/assets/{*path}', { path: 'users/:id', method: RequestMethod.GET }] }, {}],
  ])('takes %p', (options, resolved) => {
    expect(resolve(options)).toMatchObject(resolved);
  });

  it('takes a foreign store in production', () => {
    expect(resolve({ store }, 'production')).toMatchObject({ store });
  });

  it.each([
    [[SECRET, 'a short cat on keyboard'], ['it is shorter than 32 bytes']],
    [[SECRET, 'a'.repeat(32)], ['it has fewer than 10 different characters']],
    [['123456789'.repeat(4), SECRET], ['it has fewer than 10 different characters']],
    ['keyboard', ['it is shorter than 32 bytes', 'it has fewer than 10 different characters']],
    [['0123456789'.repeat(4), '0123456789'.repeat(5)], []],
  ])('takes %p outside production, and warns of %p', (secret, problems) => {
    expect(resolve({ secret }, 'development').warnings).toEqual(
      problems.map((problem) => expect.stringContaining(`Option "secret": ${problem}, which production refuses. `)),
    );
  });

  it('takes a short secret outside production, with a warning that says what production does', () => {
    const { warnings } = resolve({ secret: [SECRET, 'a short cat on keyboard'] }, 'development');

    expect(warnings).toEqual([
      'Option "secret": it is shorter than 32 bytes, which production refuses. ' +
        'Give the output of "openssl rand -base64 32", by an environment variable.',
    ]);
  });

  it.each([
    [{ cookie: { sameSite: 'none' as const } }, /^Option "cookie.sameSite": .* Set cookie.secure to true/],
    [{ lifetime: { rotateEvery: '1m', rotationGrace: '1m' } }, /^Option "lifetime.rotationGrace": .* Leave it out/],
  ])('warns of what is hardly meant: %j', (options, warning) => {
    expect(resolve(options, 'development').warnings).toEqual([expect.stringMatching(warning)]);
  });

  it.each([
    { cookie: { sameSite: 'none' as const, secure: true } },
    { lifetime: { rotateEvery: '1m' } },
    { lifetime: { rotateEvery: false as const, rotationGrace: '1h' } },
  ])('does not warn of %j', (options) => {
    expect(resolve(options, 'development').warnings).toEqual([]);
  });

  it('refuses a class that is no serializer', () => {
    class Users {}

    expect(() => resolve({ serializers: [Users as never] })).toThrow(
      /"serializers": it has no method .* extend UserSerializer/,
    );
  });

  it('measures a secret in bytes, not in characters', () => {
    const TEN = '\u{1f511}\u{1f512}\u{1f513}\u{1f514}\u{1f515}\u{1f516}\u{1f517}\u{1f518}\u{1f519}\u{1f51a}';

    expect(resolve({ secret: TEN }).warnings).toEqual([]);
  });
});

describe('resolveOptions', () => {
  const OPENSSL = /openssl rand -base64 32/;
  const MILLISECONDS = /milliseconds or a string such as "15m"/;
  const NO_DURATION = /is no duration above zero/;
  const NO_ORIGIN = /is no origin/;
  const AS_BROWSERS = /scheme, host and port as browsers do.*, or a RegExp/;
  const NO_SIZE = /is no whole number above zero/;
  const OR_INFINITY = /number of bytes, or Infinity/;
  const SET_SECURE = /Set cookie\.secure to true/;
  const NO_ADDRESS = /no redis:\/\/ or rediss:\/\/ address/;
  const AN_ADDRESS = /As in redis:\/\/localhost:6379\./;
  const NO_SERVERS = /no list of servers, or an empty one/;
  const ROOT_NODES = /As in \[\{ url: "redis:\/\/localhost:6379" \}\]/;
  const SENTINELS = /As in \[\{ host: "localhost", port: 26379 \}\]/;
  const A_CLIENT = /Give a client of createClient\(\), createCluster\(\) or createSentinel\(\)/;

  const RECHECK = /As in \{ recheck: "30s" \}/;

  /** Options; the option named; the problem; the remedy. */
  const cases: [Given, string, RegExp, RegExp][] = [
    [{ secret: undefined }, 'secret', /missing or empty/, OPENSSL],
    [{ secret: '' }, 'secret', /missing or empty/, OPENSSL],
    [{ secret: [] }, 'secret', /missing or empty/, OPENSSL],
    [{ secret: [SECRET, ''] }, 'secret', /missing or empty/, OPENSSL],
    [{ secret: [undefined, SECRET] }, 'secret', /missing or empty/, OPENSSL],
    [{ secret: 42 }, 'secret', /missing or empty/, OPENSSL],

    [{ redis: {} }, 'redis', /has no server/, /exactly one of url, cluster, sentinel and client/],
    [{ redis: { client: undefined } }, 'redis', /has no server/, /exactly one of/],
    [{ redis: { ...REDIS, client } }, 'redis', /has url and client/, /exactly one of/],
    [{ redis: client }, 'redis', /is a client/, /Give \{ client \}/],
    [{ redis: { cluster: {}, sentinel: {} } }, 'redis', /has cluster and sentinel/, /exactly one of/],
    [{ redis: { ...REDIS, clientSideCache: {} } }, 'redis', /revoked could still be served/, /Leave it out/],
    [{ redis: { cluster: { clientSideCache: {} } } }, 'redis', /"clientSideCache"/, /Leave it out/],
    [{ redis: { cluster: { defaults: { clientSideCache: {} } } } }, 'redis', /"clientSideCache"/, /Leave it out/],
    [{ redis: { sentinel: { clientSideCache: {} } } }, 'redis', /"clientSideCache"/, /Leave it out/],
    [
      { redis: { sentinel: { nodeClientOptions: { clientSideCache: {} } } } },
      'redis',
      /"clientSideCache"/,
      /Leave it out/,
    ],
    [{ redis: { ...REDIS, clientSideCache: null } }, 'redis', /"clientSideCache"/, /Leave it out/],
    [{ redis: null }, 'redis', /no object/, /Give \{ url \}, \{ cluster \}, \{ sentinel \} or \{ client \}/],
    [{ redis: 'redis://localhost' }, 'redis', /no object/, /Give \{ url \}/],
    [{ redis: { url: 'localhost:6379' } }, 'redis.url', NO_ADDRESS, AN_ADDRESS],
    [{ redis: { url: 'http://localhost' } }, 'redis.url', NO_ADDRESS, AN_ADDRESS],
    [{ redis: { url: 'redis://[' } }, 'redis.url', NO_ADDRESS, AN_ADDRESS],
    [{ redis: { url: null } }, 'redis.url', NO_ADDRESS, AN_ADDRESS],
    [{ redis: { url: new URL('redis://localhost') } }, 'redis.url', NO_ADDRESS, AN_ADDRESS],
    [{ redis: { url: 'redis://h/abc' } }, 'redis.url', /database is no number/, /As in redis:\/\/localhost:6379\/1/],
    [{ redis: { url: 'redis://u:%zz@h' } }, 'redis.url', /wrongly percent-encoded/, /encodeURIComponent\(\)/],
    [{ redis: { url: 'redis://%ff@h' } }, 'redis.url', /wrongly percent-encoded/, /encodeURIComponent\(\)/],
    [{ redis: { cluster: null } }, 'redis.cluster.rootNodes', NO_SERVERS, ROOT_NODES],
    [{ redis: { cluster: {} } }, 'redis.cluster.rootNodes', NO_SERVERS, ROOT_NODES],
    [{ redis: { cluster: { rootNodes: [] } } }, 'redis.cluster.rootNodes', NO_SERVERS, ROOT_NODES],
    [{ redis: { cluster: { rootNodes: ['redis://h'] } } }, 'redis.cluster.rootNodes', NO_SERVERS, ROOT_NODES],
    [
      { redis: { cluster: { rootNodes: [...cluster.rootNodes, { url: 'h:7000' }] } } },
      'redis.cluster.rootNodes[2].url',
      NO_ADDRESS,
      AN_ADDRESS,
    ],
    [
      { redis: { cluster: { rootNodes: [{ url: 'redis://u:%zz@h' }] } } },
      'redis.cluster.rootNodes[0].url',
      /wrongly percent-encoded/,
      /encodeURIComponent\(\)/,
    ],
    [{ redis: { sentinel: null } }, 'redis.sentinel.sentinelRootNodes', NO_SERVERS, SENTINELS],
    [{ redis: { sentinel: {} } }, 'redis.sentinel.sentinelRootNodes', NO_SERVERS, SENTINELS],
    [
      { redis: { sentinel: { ...sentinel, sentinelRootNodes: [] } } },
      'redis.sentinel.sentinelRootNodes',
      NO_SERVERS,
      SENTINELS,
    ],
    [{ redis: { client: null } }, 'redis.client', /no method "get"/, A_CLIENT],
    [{ redis: { client: {} } }, 'redis.client', /no method "get"/, A_CLIENT],
    [{ redis: { client: { ...client, evalSha: undefined } } }, 'redis.client', /no method "evalSha"/, A_CLIENT],
    [{ redis: REDIS, store }, 'store', /beside "redis"/, /one of the two/],
    [{ store: null }, 'store', /no method "get"/, /an express-session Store/],
    [{ store: { get() {}, set() {} } }, 'store', /no method "destroy"/, /an express-session Store/],

    [{ connections: null }, 'connections', /no object/, RECHECK],
    [{ connections: '30s' }, 'connections', /no object/, RECHECK],
    [{ connections: { interval: '30s' } }, 'connections.interval', /no such option/, /Known: recheck/],
    [{ connections: { recheck: 0 } }, 'connections.recheck', NO_DURATION, MILLISECONDS],
    [{ connections: { recheck: -1 } }, 'connections.recheck', NO_DURATION, MILLISECONDS],
    [{ connections: { recheck: 'soon' } }, 'connections.recheck', NO_DURATION, MILLISECONDS],
    [{ connections: { recheck: false } }, 'connections.recheck', NO_DURATION, MILLISECONDS],
    [{ connections: { recheck: Infinity } }, 'connections.recheck', NO_DURATION, MILLISECONDS],
    [{ connections: { recheck: '25d' } }, 'connections.recheck', /longer than a timer/, /such as "30s"/],

    [{ prefix: 5 }, 'prefix', /no string/, /As in "sess:"/],
    [{ prefix: 'app:{1}:' }, 'prefix', /brace.*hash tag/, /other characters/],
    [{ prefix: 'app}' }, 'prefix', /brace.*hash tag/, /other characters/],

    [{ cookie: { name: 'my sid' } }, 'cookie.name', /characters that a cookie name cannot/, /letters, digits/],
    [{ cookie: { name: '' } }, 'cookie.name', /characters that a cookie name cannot/, /letters, digits/],
    [{ cookie: { name: 'sid;' } }, 'cookie.name', /characters that a cookie name cannot/, /letters, digits/],
    [{ cookie: { path: '/app; Domain=a.test' } }, 'cookie.path', /characters that a path cannot/, /URL-encoded/],
    [{ cookie: { path: '/caf\u00e9' } }, 'cookie.path', /characters that a path cannot/, /URL-encoded/],
    [{ cookie: { domain: 'a.test; Path=/' } }, 'cookie.domain', /no host name/, /example\.com.*leave it out/],
    [{ cookie: { domain: '' } }, 'cookie.domain', /no host name/, /example\.com.*leave it out/],
    [{ cookie: { name: 5 } }, 'cookie.name', /characters that a cookie name cannot/, /letters, digits/],
    [{ cookie: { domain: true } }, 'cookie.domain', /no host name/, /example\.com.*leave it out/],
    [{ cookie: { path: /app/ } }, 'cookie.path', /does not start with "\/"/, /absolute path/],
    [{ cookie: { path: 'app' } }, 'cookie.path', /does not start with "\/"/, /absolute path.*"\/app"/],
    [{ cookie: { name: '__Host-sid' } }, 'cookie.name', /refuse "__Host-sid" without Secure/, SET_SECURE],
    [{ cookie: { name: '__secure-sid', secure: false } }, 'cookie.name', /without Secure/, SET_SECURE],
    [{ cookie: { name: '__Http-sid' } }, 'cookie.name', /refuse "__Http-sid" without Secure/, SET_SECURE],
    [{ cookie: { name: '__HTTP-sid', secure: false } }, 'cookie.name', /without Secure/, SET_SECURE],
    [{ cookie: { name: '__Host-Http-sid' } }, 'cookie.name', /without Secure/, SET_SECURE],
    [{ cookie: { name: '__host-http-sid', secure: 'auto' } }, 'cookie.name', /without Secure/, SET_SECURE],
    [
      { cookie: { name: '__Host-Http-x', secure: true, path: '/app' } },
      'cookie.name',
      /a path other/,
      /"__Secure-sid"/,
    ],
    [
      { cookie: { name: '__host-Http-x', secure: true, domain: 'a.test' } },
      'cookie.name',
      /a domain/,
      /"__Secure-sid"/,
    ],
    [
      { cookie: { name: 'x'.repeat(3891) } },
      'cookie.name',
      /more than 4096 bytes.*has 3891/,
      /at most 3890 characters/,
    ],
    [{ cookie: { name: '__Host-sid', secure: true, path: '/app' } }, 'cookie.name', /a path other/, /"__Secure-sid"/],
    [{ cookie: { name: '__Host-sid', secure: true, domain: 'a.test' } }, 'cookie.name', /a domain/, /"__Secure-sid"/],
    [{ cookie: { sameSite: 'none', secure: false } }, 'cookie.sameSite', /"none" without Secure/, SET_SECURE],
    [{ cookie: { sameSite: 'Lax' } }, 'cookie.sameSite', /"Lax" is not known/, /lax or strict or none/],
    [{ cookie: { partitioned: true, secure: false } }, 'cookie.partitioned', /without Secure/, SET_SECURE],
    [{ cookie: { secure: 'yes' } }, 'cookie.secure', /"yes" is not known/, /true, false or "auto"/],
    [{ cookie: { partitioned: 'false' } }, 'cookie.partitioned', /"false" is not known/, /true or false/],
    [{ cookie: true }, 'cookie', /no object/, /As in \{ sameSite: "strict" \}/],
    [{ cookie: { httpOnly: false } }, 'cookie.httpOnly', /no such option/, /always HttpOnly/],
    [{ cookie: { colour: 'red' } }, 'cookie.colour', /no such option/, /Known: name, path, domain/],

    [{ lifetime: { idle: 0 } }, 'lifetime.idle', NO_DURATION, MILLISECONDS],
    [{ lifetime: { idle: '0s' } }, 'lifetime.idle', NO_DURATION, MILLISECONDS],
    [{ lifetime: { idle: '-1h' } }, 'lifetime.idle', /"-1h" is no duration above zero/, MILLISECONDS],
    [{ lifetime: { absolute: NaN } }, 'lifetime.absolute', /NaN is no duration above zero/, MILLISECONDS],
    [{ lifetime: { absolute: Infinity } }, 'lifetime.absolute', /Infinity is no duration/, MILLISECONDS],
    [{ lifetime: { absolute: 'a day' } }, 'lifetime.absolute', NO_DURATION, MILLISECONDS],
    [{ lifetime: { absolute: '1'.repeat(101) } }, 'lifetime.absolute', NO_DURATION, MILLISECONDS],
    [{ lifetime: { touchEvery: '' } }, 'lifetime.touchEvery', NO_DURATION, MILLISECONDS],
    [{ lifetime: { touchEvery: -1 } }, 'lifetime.touchEvery', NO_DURATION, MILLISECONDS],
    [
      { lifetime: { touchEvery: '1h' } },
      'lifetime.touchEvery',
      /not shorter than "lifetime\.idle"/,
      /a tenth of "idle"/,
    ],
    [
      { lifetime: { ttl: '1h' } },
      'lifetime.ttl',
      /no such option/,
      /Known: idle, absolute, touchEvery, rotateEvery, rotationGrace\./,
    ],
    [{ lifetime: { rotateEvery: 0 } }, 'lifetime.rotateEvery', NO_DURATION, MILLISECONDS],
    [{ lifetime: { rotateEvery: 'often' } }, 'lifetime.rotateEvery', /"often" is no duration/, MILLISECONDS],
    [{ lifetime: { rotateEvery: true } }, 'lifetime.rotateEvery', /true is no duration/, MILLISECONDS],
    [{ lifetime: { rotateEvery: Infinity } }, 'lifetime.rotateEvery', /Infinity is no duration/, MILLISECONDS],
    [{ lifetime: { rotationGrace: 0 } }, 'lifetime.rotationGrace', NO_DURATION, MILLISECONDS],
    [{ lifetime: { rotationGrace: false } }, 'lifetime.rotationGrace', /false is no duration/, MILLISECONDS],
    [
      { lifetime: { rotateEvery: '15m' }, store },
      'lifetime.rotateEvery',
      /given beside "store".*in one step/,
      /Leave it out, or use "redis" in place of "store"/,
    ],
    [{ lifetime: 3_600_000 }, 'lifetime', /no object/, /As in \{ idle: "1h" \}; or name a level, such as "aal2"/],
    [{ lifetime: true }, 'lifetime', /no object/, /As in \{ idle: "1h" \}/],
    [{ lifetime: 'aal4' }, 'lifetime', /"aal4" is not known/, /aal1 or aal2 or aal3/],
    [{ lifetime: '' }, 'lifetime', /"" is not known/, /aal1 or aal2 or aal3/],

    [{ maxSessions: null }, 'maxSessions', /no object/, /As in \{ limit: 3 \}/],
    [{ maxSessions: {} }, 'maxSessions.limit', /undefined is no whole number above zero/, /As in 3/],
    [{ maxSessions: { limit: 0 } }, 'maxSessions.limit', /0 is no whole number above zero/, /As in 3/],
    [{ maxSessions: { limit: -1 } }, 'maxSessions.limit', /-1 is no whole number/, /As in 3/],
    [{ maxSessions: { limit: 1.5 } }, 'maxSessions.limit', /1\.5 is no whole number/, /As in 3/],
    [{ maxSessions: { limit: Infinity } }, 'maxSessions.limit', /Infinity is no whole number/, /As in 3/],
    [{ maxSessions: { limit: '3' } }, 'maxSessions.limit', /3 is no whole number/, /As in 3/],
    [
      { maxSessions: { limit: 3, overflow: 'drop' } },
      'maxSessions.overflow',
      /"drop" is not known/,
      /evict-oldest or reject/,
    ],
    [{ maxSessions: { limit: 3, perDevice: 1 } }, 'maxSessions.perDevice', /no such option/, /Known: limit, overflow/],
    [
      { maxSessions: { limit: 3 }, store },
      'maxSessions',
      /given beside "store", whose contract cannot count/,
      /Use "redis" in place of "store"/,
    ],

    [{ adopt: {} }, 'adopt', /given without "redis"/, /the server of connect-redis/],
    [{ adopt: {}, store }, 'adopt', /given without "redis"/, /the server of connect-redis/],
    [{ adopt: {}, redis: { url: undefined } }, 'adopt', /given without "redis"/, /leave it out/],
    [{ adopt: true, redis: REDIS }, 'adopt', /no object/, /As in \{ cookie: "connect.sid"/],
    [{ adopt: { name: 'a' }, redis: REDIS }, 'adopt.name', /no such option/, /Known: cookie, prefix, secret/],
    [{ adopt: { cookie: 'a b' }, redis: REDIS }, 'adopt.cookie', /no name of a cookie/, /As in "connect.sid"/],
    [{ adopt: { cookie: 'sid' }, redis: REDIS }, 'adopt.cookie', /our own cookie too/, /cookie.name another/],
    [{ adopt: { prefix: 1 }, redis: REDIS }, 'adopt.prefix', /no string/, /As in "sess:"/],
    [{ cookie: () => ({}) }, 'cookie', /is a function/, /Give an object/],
    [{ adopt: { secret: undefined }, redis: REDIS }, 'adopt.secret', /is undefined/, /leave it out/],
    [{ adopt: { secret: '' }, redis: REDIS }, 'adopt.secret', /empty or no text/, /express-session has as "secret"/],
    [{ adopt: { secret: [] }, redis: REDIS }, 'adopt.secret', /empty or no text/, /express-session has as "secret"/],

    [{ redisTimeout: 0 }, 'redisTimeout', NO_DURATION, MILLISECONDS],
    [{ redisTimeout: true }, 'redisTimeout', NO_DURATION, MILLISECONDS],
    [{ redisTimeout: 2 ** 31 }, 'redisTimeout', /2147483648 is longer than a timer can run.*24\.8 days/, /"2s"/],
    [{ redisTimeout: '25d' }, 'redisTimeout', /"25d" is longer than a timer can run/, /such as "2s"/],

    [{ warnAtBytes: 0 }, 'warnAtBytes', NO_SIZE, OR_INFINITY],
    [{ warnAtBytes: -1 }, 'warnAtBytes', NO_SIZE, OR_INFINITY],
    [{ warnAtBytes: 1.5 }, 'warnAtBytes', NO_SIZE, OR_INFINITY],
    [{ warnAtBytes: '64kb' }, 'warnAtBytes', NO_SIZE, OR_INFINITY],
    [{ onStoreError: 'ignore' }, 'onStoreError', /"ignore" is not known/, /fail or anonymous/],
    [{ device: true }, 'device', /neither false nor a function/, /\(request\) =>/],
    [{ serializers: SnapshotSerializer }, 'serializers', /no list of classes/, /As in \[AppUserSerializer\]/],
    [{ serializers: [undefined] }, 'serializers', /no list of classes/, /As in \[AppUserSerializer\]/],
    [{ crossSite: 'deny' }, 'crossSite', /deny/, /refuse.*allow/],
    [{ trustedOrigins: 'https://app.example.com' }, 'trustedOrigins', /it is no list/, /As in \[/],
    [{ trustedOrigins: ['https://app.example.com/'] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ trustedOrigins: ['https://App.example.com'] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ trustedOrigins: ['https://app.example.com:443'] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ trustedOrigins: ['https://*.example.com'] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ trustedOrigins: ['app.example.com'] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ trustedOrigins: ['*'] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ trustedOrigins: ['null'] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ trustedOrigins: [undefined] }, 'trustedOrigins', NO_ORIGIN, AS_BROWSERS],
    [{ exclude: [{ path: 'x', method: 'GET' }] }, 'exclude', /"GET" is no method/, /As in RequestMethod\.GET/],
    [{ exclude: [{ path: 'x', method: 99 }] }, 'exclude', /99 is no method/, /As in RequestMethod\.GET/],
    [{ exclude: 'x' }, 'exclude', /no list/, /As in \["health", "assets\/\{\*path\}"\]/],
    [{ exclude: [null] }, 'exclude', /"null" is no route pattern/, /assets\/\{\*path\}/],
    [{ exclude: ['assets/*'] }, 'exclude', /"assets\/\*" is no route pattern/, /assets\/\{\*path\}/],
    [{ exclude: [{ path: 'users/:', method: 0 }] }, 'exclude', /"users\/:" is no route pattern/, /\{\*path\}/],
    [
      { exclude: ['{/:a}{/:b}{/:c}{/:d}{/:e}{/:f}{/:g}{/:h}{/:i}{/:j}z'] },
      'exclude',
      /is no route pattern \(Too many path combinations/,
      /\{\*path\}/,
    ],
    [{ sessions: false } as Given, 'sessions', /no such option/, /Known: secret, redis, store/],
    [{ constructor: false } as Given, 'constructor', /no such option/, /Known: secret, redis, store/],
  ];

  it.each(cases)('refuses %p, naming option, problem and remedy', (options, option, problem, remedy) => {
    const { code, message, option: named } = refusal(options);

    expect({ code, option: named }).toEqual({ code: 'invalid_option', option });
    expect(message).toMatch(new RegExp(`^SessionAuthModule option "${option.replaceAll(/[.[\]]/g, '\\$&')}": `));
    expect(message).toMatch(problem);
    expect(message).toMatch(remedy);
  });

  it('takes the old sessions to be those of express-session and connect-redis as they come, by our own secret', () => {
    const old = { cookie: 'connect.sid', prefix: 'sess:', secrets: [SECRET] };

    expect(resolve({ redis: REDIS, adopt: {} }).adopt).toEqual(old);
    expect(resolve({ redis: REDIS, adopt: { secret: 'keyboard cat' } }).adopt?.secrets).toEqual(['keyboard cat']);
    expect(resolve({ redis: REDIS }).adopt).toBeUndefined();
  });

  it('shows no secret and no password in an error', () => {
    expect(refusal({ secret: 'keyboard cat', redis: REDIS }, 'production').message).not.toContain('keyboard');
    expect(refusal({ redis: { url: 'redis//user:hunter2@host' } }).message).not.toContain('hunter2');
    expect(refusal({ redis: 'redis://user:hunter2@host' }).message).not.toContain('hunter2');
    expect(refusal({ redis: { url: 'redis://user:hunter2@host/abc' } }).message).not.toContain('hunter2');
    expect(refusal({ redis: { url: 'redis://user:hunter2%zz@host' } }).message).not.toContain('hunter2');
  });
});

describe('a client of your own', () => {
  const clientSideCache = {};
  const node = { RESP: 3, clientSideCache } as const;

  it.each<[string, () => RedisCommands]>([
    ['createClient()', () => createClient()],
    ['createCluster()', () => createCluster(cluster)],
    ['createSentinel()', () => createSentinel(sentinel)],
  ])('by %s is taken as it is', (_, create) => {
    const given = create();

    expect(resolve({ redis: { client: given } }).redis?.client).toBe(given);
  });

  it.each<[string, () => RedisCommands]>([
    ['createClient()', () => createClient(node)],
    ['createClient() and a view of it', () => createClient(node).withTypeMapping({})],
    ['createCluster()', () => createCluster({ ...cluster, ...node })],
    ['createCluster(), node by node', () => createCluster({ ...cluster, RESP: 3, defaults: node })],
    ['createSentinel()', () => createSentinel({ ...sentinel, ...node })],
  ])('by %s that has a cache is refused', (_, create) => {
    const { option, message } = refusal({ redis: { client: create() } });

    expect(option).toBe('redis');
    expect(message).toMatch(/"clientSideCache".*revoked could still be served\. Leave it out/);
  });
});

describe.each(['production', 'staging'])('resolveOptions where NODE_ENV is "%s"', (env) => {
  class Subclass extends session.MemoryStore {}
  /** As in a bundle that has another copy of express-session, under a short name. */
  const CopyOfMemoryStore = class a extends session.Store {
    readonly sessions: unknown = Object.create(null);
    get() {}
    set() {}
    destroy() {}
  };

  it.each<[Given, string, RegExp]>([
    [{}, 'redis', /in memory end with the process.*Give \{ url \}/],
    [{ redis: { url: undefined } }, 'redis', /in memory end with the process/],
    [{ redis: REDIS, secret: 'keyboard cat, but short' }, 'secret', /shorter than 32 bytes.*openssl/],
    [{ redis: REDIS, secret: [SECRET, 'keyboard cat, but short'] }, 'secret', /shorter than 32 bytes.*openssl/],
    [{ redis: REDIS, secret: 'a'.repeat(32) }, 'secret', /fewer than 10 different characters.*openssl/],
    [{ redis: REDIS, secret: [SECRET, '123456789'.repeat(9)] }, 'secret', /fewer than 10 different.*openssl/],
    [{ redis: REDIS, cookie: { secure: false, name: 'sid' } }, 'cookie.secure', /false is refused.*Leave it out/],
    [{ redis: REDIS, cookie: { secure: 'auto' } }, 'cookie.secure', /"auto" is refused in production.*Leave it out/],
    [{ redis: REDIS, cookie: { secure: 'auto', name: 'sid' } }, 'cookie.secure', /"auto" is refused.*Leave it out/],
    [{ redis: REDIS, cookie: { sameSite: 'none', secure: 'auto' } }, 'cookie.secure', /"auto" is refused.*give true/],
    [{ redis: REDIS, cookie: { sameSite: 'none', secure: false } }, 'cookie.secure', /false is refused.*give true/],
    [{ redis: REDIS, cookie: { path: '/app' } }, 'cookie.name', /"__Host-Http-sid" with.*a path other.*"__Secure-sid"/],
    [{ redis: REDIS, cookie: { domain: 'example.com' } }, 'cookie.name', /a domain.*"__Secure-sid"/],
    [{ store: new session.MemoryStore() }, 'store', /express-session's MemoryStore.*Give "redis"/],
    [{ store: new Subclass() }, 'store', /express-session's MemoryStore/],
    [{ store: new CopyOfMemoryStore() }, 'store', /express-session's MemoryStore/],
  ])('refuses %p', (options, option, message) => {
    const refused = refusal(options, env);

    expect(refused).toMatchObject({ code: 'invalid_option', option });
    expect(refused.message).toMatch(message);
  });

  it('says in each such refusal what makes it production', () => {
    for (const options of [
      { store: new session.MemoryStore() },
      { redis: REDIS, secret: 'keyboard cat' },
      { redis: REDIS, cookie: { secure: false } },
      {},
    ]) {
      expect(refusal(options, env).message).toMatch(
        /Production is every NODE_ENV but "development", "test" and none\.$/,
      );
    }
  });

  it.each<[Given]>([
    [{ redis: REDIS, cookie: { sameSite: 'none' } }],
    [{ redis: REDIS, cookie: { name: '__Secure-sid', domain: 'example.com', path: '/app' } }],
    [{ redis: REDIS, cookie: { name: 'sid' } }],
    [{ store }],
  ])('takes %p', (options) => {
    expect(resolve(options, env).warnings).toEqual([]);
  });
});

it.each([undefined, 'development', 'test'])("express-session's MemoryStore is taken where NODE_ENV is %s", (env) => {
  const given = new session.MemoryStore();

  expect(resolve({ store: given }, env).store).toBe(given);
});

describe('a duration', () => {
  it.each([
    [1, 1],
    [0.5, 0.5],
    ['500', 500],
    ['1.5h', 90 * MINUTE],
    ['2 days', 48 * 60 * MINUTE],
  ])('of %p is %d milliseconds', (given, expected) => {
    expect(milliseconds('remember', given)).toBe(expected);
  });
});
