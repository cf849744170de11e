import { AuditLogger } from '../../lib/index.js';
import { SECRET } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { LogRecorder } from '../support/log-recorder.js';
import { describePlatforms } from '../support/platforms.js';
import { idIn, outcomeOf, People, productionSite } from './site.js';

describePlatforms(() => {
  const site = productionSite();

  it('V16.2.5 no log has a session token, a cookie, a password, or a secret of the configuration', async () => {
    const log = new LogRecorder();
    const line = await site.line();
    const application = await site.start({
      logger: log,
      providers: [AuditLogger],
      options: {
        redis: { url: line.url.replace('//', '//default:not-for-logs@') },
        redisTimeout: '2s',
        lifetime: { rotateEvery: '5m', rotationGrace: '1s' },
        warnAtBytes: 100,
      },
    });
    const person = site.person(application);
    const credentials = site.credentialsOf(person);
    const issued = new Set<string>();
    const browser = await site.loggedIn(person, application);
    const old = browser.cookie;
    const note = (setCookies: string[]) => setCookies.forEach((cookie) => issued.add(cookie.split(';')[0]!));
    issued.add(old);
    await site.browser(application).post('/login', { json: { ...credentials, password: 'a wrong password' } });
    note((await browser.request('PUT', '/session/note', { json: { value: 'x'.repeat(200) } })).setCookies);
    note((await browser.post('/account/proofs/totp')).setCookies);
    const stolen = browser.cookie;
    application.clock.advance('6m');
    note((await browser.get('/me')).setCookies);
    note((await browser.get('/me')).setCookies);
    application.clock.advance('2s');
    await site.browser(application).get('/me', { headers: { cookie: stolen } });
    const again = await site.loggedIn(person, application);
    issued.add(again.cookie);
    application.app.get(People).isDown = true;
    await again.get('/me');
    line.pause();
    line.resetAll();
    await again.get('/me');
    await again.post('/login', { json: credentials });
    const written = log.lines.map(({ text }) => text).join('\n');

    // What happened has been logged, with the handle of the session.
    for (const logged of [
      'logged-in',
      'login-failed',
      'large-session',
      'reauthenticated',
      'reuse-detected',
      'store-error',
    ]) {
      expect(written).toContain(`"event":"${logged}"`);
    }
    expect(written).toContain(idIn(again.cookie).handle);
    expect(issued.size).toBeGreaterThanOrEqual(4);
    for (const cookie of issued) {
      expect(written).not.toContain(cookie);
      expect(written).not.toContain(idIn(cookie).secret);
    }
    for (const hidden of [SECRET, 'not-for-logs', credentials.password, 'a wrong password']) {
      expect(written).not.toContain(hidden);
    }
  });

  it('V16.5.3 whatever fails, nobody is let in by it, and nothing counts as done that was not', async () => {
    const line = await site.line();
    const application = await site.start({ options: { redis: line.options, redisTimeout: '2s' } });
    const person = site.person(application);
    const browser = await site.loggedIn(person, application);
    const people = application.app.get(People);
    people.isDown = true;
    const withoutPeople = outcomeOf(await browser.get('/me'));
    people.isDown = false;
    await site.redis.refuseWrites();
    const readOnly = [
      outcomeOf(await browser.request('PUT', '/session/cart', { json: { value: 1 } })),
      outcomeOf(await site.browser(application).post('/login', { json: site.credentialsOf(person) })),
      outcomeOf(await browser.post('/leave')),
    ];
    await site.redis.refuseWrites(false);
    line.pause();
    line.resetAll();
    const visitor = site.browser(application);
    const away = [
      outcomeOf(await browser.get('/me')),
      outcomeOf(await browser.post('/account/payments')),
      outcomeOf(await browser.post('/account/password')),
      outcomeOf(await visitor.post('/login', { json: site.credentialsOf(person) })),
    ];
    line.resume();
    await eventually('Redis to be back', async () => (await browser.get('/me')).status === 200);

    expect(withoutPeople).toBe('user_lookup_failed');
    expect(readOnly).toEqual(Array(3).fill('session_store_unavailable'));
    expect(away).toEqual(Array(4).fill('session_store_unavailable'));
    expect(visitor.cookies.size).toBe(0);
    expect((await browser.get('/session')).json()).toEqual({});
  });
});
