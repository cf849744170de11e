import { eventually } from '../support/eventually.js';
import { ADA, devicesSample, FIREFOX, IPHONE, signOutOthers } from './devices-sample.js';

describe.each(['memory', 'redis'])('The devices sample in %s', (where) => {
  const sample = devicesSample(where);
  const { loggedIn } = sample;

  it('asks for the password once the login is older than STEP_UP_WITHIN, and no more after it', async () => {
    const impatient = await sample.start({ STEP_UP_WITHIN: '2s' });
    const laptop = await loggedIn(FIREFOX, ADA, impatient);

    await eventually('the login to be old', async () => (await signOutOthers(laptop)).headers.location === '/confirm', {
      timeout: 15_000,
      interval: 100,
    });
    const phone = await loggedIn(IPHONE, ADA, impatient);
    expect((await signOutOthers(laptop)).headers.location).toBe('/confirm');
    expect((await phone.get('/')).status).toBe(200);

    await eventually('all others to be signed out right after the password', async () => {
      await laptop.post('/confirm', { form: { password: ADA.password } });
      return (await signOutOthers(laptop)).headers.location === '/';
    });
    expect((await phone.get('/')).headers.location).toBe('/login?reason=revoked');
  });

  it('tells how long the session lasts yet, keeps it alive by no such question, and says that it has expired', async () => {
    const hasty = await sample.start({ IDLE: '4s' });
    const laptop = await loggedIn(FIREFOX, ADA, hasty);

    const first = (await laptop.get('/session')).json<{ secondsLeft: number; expiresAt: string }>();
    expect(first.secondsLeft).toBeLessThanOrEqual(4);
    const next = await laptop.get('/session');
    expect(next.setCookies).toEqual([]);

    const ask = async () => (await laptop.get('/session')).status === 401;
    await eventually('the session to expire although the page polls', ask, { timeout: 15_000, interval: 100 });
    expect(Date.now()).toBeGreaterThanOrEqual(Date.parse(first.expiresAt) - 1_000);
    expect((await laptop.get('/')).headers.location).toBe('/login?reason=expired');
  });
});
