import { Module, RequestMethod } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import session from 'express-session';
import { type RedisCommands, SessionAuthModule, type SessionAuthOptions, SessionPolicy } from '../../lib/index.js';
import { durationOf } from '../../lib/policy/duration-text.js';
import { resolveOptions } from '../../lib/validation/options.js';
import { SECRET, SnapshotSerializer } from '../support/application.js';

type Given = Partial<SessionAuthOptions>;

const store = new (class extends session.Store {
  get() {}
  set() {}
  destroy() {}
})();
const command = () => Promise.resolve(null);
const client: RedisCommands = { get: command, set: command, del: command, eval: command, evalSha: command };
const REDIS = { redis: { url: 'redis://app:hunter2@cache.internal:6379/3' } };

function policy(options: Given = {}, env = 'test'): SessionPolicy {
  return new SessionPolicy(resolveOptions({ secret: SECRET, ...options }, env));
}
const describing = (options?: Given, env?: string) => policy(options, env).describe();
const markdown = (options?: Given, env?: string) => policy(options, env).describe('markdown');

/**
 * Changes of each option, each of which is a change of the policy, and what it is set against, where that is not the
 * default. Options that no policy depends on have none.
 */
const CHANGES: Record<keyof SessionAuthOptions, { of?: Given; to: Given[] }> = {
  secret: { to: [{ secret: [SECRET, `${SECRET} of before`] }, { secret: 'short' }] },
  redis: {
    of: REDIS,
    to: [
      { redis: undefined },
      { redis: { cluster: { rootNodes: [{ url: 'redis://cache.internal:7000' }] } } },
      { redis: { sentinel: { name: 'm', sentinelRootNodes: [{ host: 'cache.internal', port: 26379 }] } } },
      { redis: { client } },
    ],
  },
  store: { to: [{ store }] },
  prefix: { to: [] },
  cookie: {
    of: { cookie: { name: '__Secure-sid', secure: true } },
    to: [
      { cookie: { name: '__Host-sid', secure: true } },
      { cookie: { name: 'sid', secure: true } },
      { cookie: { name: '__Secure-sid', secure: true, path: '/app' } },
      { cookie: { name: '__Secure-sid', secure: true, domain: 'example.com' } },
      { cookie: { name: '__Secure-sid', secure: true, sameSite: 'strict' } },
      { cookie: { name: '__Secure-sid', secure: true, partitioned: true } },
      { cookie: { name: 'sid', secure: 'auto' } },
      { cookie: { name: 'sid', secure: false } },
    ],
  },
  lifetime: {
    to: [
      { lifetime: { idle: '2h' } },
      { lifetime: { absolute: '12h' } },
      { lifetime: { touchEvery: '1m' } },
      { lifetime: { rotateEvery: '10m' } },
      { lifetime: { rotateEvery: false } },
      { lifetime: { rotationGrace: '10s' } },
      { lifetime: 'aal1' },
      { lifetime: 'aal3' },
    ],
  },
  maxSessions: {
    to: [
      { maxSessions: { limit: 3 } },
      { maxSessions: { limit: 1 } },
      { maxSessions: { limit: 3, overflow: 'reject' } },
    ],
  },
  connections: { to: [{ connections: { recheck: '10s' } }] },
  trustedOrigins: { to: [{ trustedOrigins: ['https://app.example.com'] }, { trustedOrigins: [/https:\/\/.+\.test/] }] },
  crossSite: { to: [{ crossSite: 'allow' }] },
  adopt: {
    of: REDIS,
    to: [
      { ...REDIS, adopt: {} },
      { ...REDIS, adopt: { cookie: 'app.sid' } },
    ],
  },
  onStoreError: { to: [{ onStoreError: 'anonymous' }] },
  redisTimeout: { to: [{ redisTimeout: '2s' }] },
  warnAtBytes: { to: [] },
  knownDevices: { to: [{ knownDevices: true }] },
  device: { to: [{ device: false }, { device: () => ({ label: 'a device' }) }] },
  serializers: { to: [] },
  exclude: { to: [{ exclude: ['health'] }, { exclude: [{ path: 'health', method: RequestMethod.GET }] }] },
};

describe('the policy in print', () => {
  it.each(Object.entries(CHANGES))('says of the option %s what it changes', (_, { of = {}, to }) => {
    const variants = [of, ...to];

    expect(new Set(variants.map((options) => JSON.stringify(describing(options)))).size).toBe(variants.length);
    expect(new Set(variants.map((options) => markdown(options))).size).toBe(variants.length);
  });

  it('is data that JSON keeps whole', () => {
    for (const options of Object.values(CHANGES).flatMap(({ of = {}, to }) => [of, ...to])) {
      const described = describing(options);

      expect(JSON.parse(JSON.stringify(described))).toStrictEqual(described);
    }
  });

  it('has no secret, address or password in it', () => {
    for (const options of [REDIS, ...CHANGES.redis.to]) {
      const text = JSON.stringify(describing(options)) + markdown(options);

      for (const hidden of [SECRET, 'hunter2', 'cache.internal', '6379', 'redis://'])
        expect(text).not.toContain(hidden);
    }
    expect(markdown({ secret: 'keyboard cat' })).not.toContain('keyboard');
  });

  it('is, by default, in production', () => {
    expect(markdown(REDIS, 'production')).toMatchInlineSnapshot(`
     "# Session policy

     ## Lifetime (OWASP ASVS 7.1.1)

     - Inactivity timeout: 1 hour. Activity is written down every 6 minutes; a session may expire by that much earlier.
     - Maximum lifetime: 24 hours from the login or the last proof of identity.
     - A login of several steps: 10 minutes.
     - Within the limits of NIST SP 800-63B-4 for: AAL1, AAL2.

     ## Parallel sessions (OWASP ASVS 7.1.2)

     - A user may have any number of sessions at a time.

     ## Renewal of the secret

     - A login and a new proof of identity open a new session id, and end the former one.
     - In between, the secret in the cookie changes every 15 minutes; the former one stays good for 30 seconds.

     ## The cookie

     - Name: \`__Host-Http-sid\`.
     - Path: \`/\`. Domain: none, so that it is sent to this host alone.
     - HttpOnly; Secure: yes; SameSite: \`lax\`; Partitioned: no.
     - The cookie of a login outlives its session by 24 hours, so that its browser can be told why it ended.
     - Signed by HMAC-SHA256. Secrets: 1.
     - The session id has 256 random bits. The store keeps only a hash of it.

     ## How sessions end

     - Why a session ended is remembered for 24 hours, and told to its browser alone.
     - \`expired\`: It reached its inactivity timeout or its maximum lifetime, or the store does not know it any more.
     - \`revoked\`: It was ended on another device or by an administrator, or its user is gone or is another one.
     - \`limit\`: A login beyond the limit of parallel sessions took its place.
     - \`credentials_changed\`: The user's credentials have changed.
     - \`logged_out\`: The user logged out.
     - \`reuse_detected\`: An old copy of its cookie was used.

     ## Defences

     - Requests from other sites are refused (403) that may change something in the name of who is logged in, that log in, or that open a connection.
     - Other origins that are trusted: none.
     - Sessions can be listed and ended from elsewhere: yes.
     - A session ends when a copy of its cookie is used after the secret has changed: yes.
     - Open connections are closed when their session ends; each is checked at least every 30 seconds.
     - Remembered of the device at a login: its address and user agent.
     - Each login tells whether its browser is known, by a cookie of its own: no.

     ## Where sessions are stored

     - In Redis (server).
     - While the store cannot be reached, guarded routes respond 503, within 500 milliseconds.

     ## Events for an audit

     - \`logged-in\`: a user logged in
     - \`login-pending\`: a step of a login was done, and others are to follow
     - \`adopted\`: a session of the former stack was carried over
     - \`login-failed\`: a login was turned down
     - \`logged-out\`: a user logged out
     - \`reauthenticated\`: a user proved again who they are
     - \`revoked\`: a session was ended from elsewhere: by its user, an administrator, the limit, changed credentials
     - \`cross-site-refused\`: a request from another site was refused
     - \`rotated\`: the secret of a session has changed
     - \`reuse-detected\`: an old copy of a cookie was used
     - \`ended\`: a session ended because its user is gone or is another one, or it could not be read
     - \`save-dropped\`: a request wanted to write to a session that had ended
     - \`connection-closed\`: an open connection was closed because its session had ended
     - \`large-session\`: the data of a session has become large
     - \`store-error\`: the store failed
     - \`touch-failed\`: activity could not be written down

     ## To be added by the application

     - Why these limits suit this application, and why they differ from NIST SP 800-63B-4 where they do (OWASP ASVS 7.1.1).
     - Logins with limits of their own: \`remember\`, \`req.session.cookie.maxAge\`.
     - Identity providers and single sign-on: how long their sessions live, what ends them, and when users have to prove anew who they are. The sessions of this application follow the rules above, and end neither with a session of a provider nor with a logout there unless the application ends them (OWASP ASVS 7.1.3).
     - Routes that ask for a fresh login (\`@RequireFreshLogin\`), or do not count as activity (\`@PassiveRoute\`).
     - Browsers that are spared a factor (\`trustFor\`): which factor, and for how long.
     - Routes that are open to other sites (\`@AllowCrossSite\`, \`LoginGuard\` with \`crossSite: true\`), and their defence.
     - Where \`credentialsChanged()\` and \`userDisabled()\` are called, and whether the serializer has a \`credentialStamp()\`.
     "
    `);
  });

  it('names the levels of NIST SP 800-63B-4 whose limits are kept', () => {
    const nistOf = (lifetime: Given['lifetime']) => describing({ lifetime }).nist;

    expect(nistOf('aal1')).toEqual({ aal1: true, aal2: false, aal3: false });
    expect(nistOf('aal2')).toEqual({ aal1: true, aal2: true, aal3: false });
    expect(nistOf('aal3')).toEqual({ aal1: true, aal2: true, aal3: true });
    expect(nistOf({ idle: '61m' }).aal2).toBe(false);
    expect(nistOf({ absolute: '25h' }).aal2).toBe(false);
    expect(nistOf({ absolute: '31d' }).aal1).toBe(false);
    // Whatever the idle limit, nobody is away for longer than a session lives.
    expect(nistOf({ idle: '2h', absolute: '1h' }).aal2).toBe(true);
  });

  it.each([
    ['__Host-Http-sid', '__Host-Http-'],
    ['__host-sid', '__Host-'],
    ['__Http-sid', '__Http-'],
    ['__Secure-sid', '__Secure-'],
    ['sid', null],
  ])('knows what browsers guarantee of a cookie named %s', (name, prefix) => {
    expect(describing({ cookie: { name, secure: true } }).cookie.prefix).toBe(prefix);
  });

  it('says what does not hold with another store', () => {
    const { defences, rotation, endsRememberedFor, store: where } = describing({ store });

    expect({ defences, rotation, endsRememberedFor }).toEqual({
      defences: expect.objectContaining({ revocation: false, reuseDetection: false }),
      rotation: null,
      endsRememberedFor: null,
    });
    expect(where.weaker).not.toEqual([]);
    for (const weakness of where.weaker) expect(markdown({ store })).toContain(weakness);
  });

  it('repeats the warnings of the boot', () => {
    expect(describing({ secret: 'short' }).warnings).toEqual([
      expect.stringContaining('shorter than 32 bytes'),
      expect.stringContaining('fewer than 10 different characters'),
    ]);
  });

  it('is whole Markdown, whatever the options hold', () => {
    const page = markdown({ cookie: { name: '`s``id|', path: '/a|`b' }, exclude: ['a\n\n# b'] });

    expect(page).toContain('Name: ``` `s``id| ```');
    expect(page).toContain('Path: `` /a|`b ``');
    expect(page).toContain('`a # b`');
  });

  it('is printed by an application that serves nothing', async () => {
    @Module({
      imports: [SessionAuthModule.forRoot({ secret: SECRET, lifetime: 'aal3' })],
      providers: [SnapshotSerializer],
    })
    class AppModule {}
    const app = await NestFactory.createApplicationContext(AppModule, { logger: false });

    expect(app.get(SessionPolicy).describe('markdown')).toBe(markdown({ lifetime: 'aal3' }));
    await app.close();
  });

  it('cannot be changed from outside', () => {
    const one = policy({ maxSessions: { limit: 3 } });
    const before = one.describe('markdown');
    const { parallelSessions, endReasons, auditEvents } = one.describe();
    Object.assign(parallelSessions!, { limit: 9 });
    Object.assign(endReasons, { expired: 'never' });
    Object.assign(auditEvents, { rotated: 'never' });

    expect(one.describe('markdown')).toBe(before);
  });
});

describe('a duration in the policy', () => {
  it.each([
    [3_600_000, '1 hour'],
    [5_400_000, '1 hour 30 minutes'],
    [86_400_000, '24 hours'],
    [30 * 86_400_000, '30 days'],
    [2 * 86_400_000 + 1000, '2 days 1 second'],
    [90_000, '1 minute 30 seconds'],
    [500, '500 milliseconds'],
    [1, '1 millisecond'],
    [0.5, '0.5 milliseconds'],
  ])('of %d ms is %p', (ms, text) => {
    expect(durationOf(ms)).toEqual({ ms, text });
  });
});
