import { RedisServer } from '../support/redis-server.js';
import {
  ADA,
  ADA_IN_PUBLIC,
  browserOn,
  closeAll,
  closers,
  quickstart,
  temporaryDatabase,
} from './quickstart-sample.js';

describe('The quickstart sample', () => {
  afterAll(closeAll);

  it('takes about as long for an unknown user as for a wrong password', async () => {
    const browser = browserOn(await quickstart());
    const fastest = { ada: Infinity, nobody: Infinity };
    for (let round = 0; round < 5; round++) {
      for (const username of ['ada', 'nobody'] as const) {
        const start = performance.now();
        await browser.post('/login', { json: { username, password: 'wrong' } });
        fastest[username] = Math.min(fastest[username], performance.now() - start);
      }
    }
    // Without the dummy hash the factor is about 20.
    expect(fastest.nobody * 4).toBeGreaterThan(fastest.ada);
  });
});

describe('The quickstart sample on Redis', () => {
  afterEach(closeAll);

  it('keeps its users logged in over a restart', async () => {
    const redis = await RedisServer.start();
    closers.push(() => redis.stop());
    const env = {
      REDIS_URL: redis.url,
      SESSION_SECRET: 'a secret of the test, long enough for production',
      DATABASE_FILE: temporaryDatabase(),
    };
    const before = await quickstart(env);
    expect(before.output).toContain('Sessions are kept in Redis');
    expect(before.output).not.toContain('sessions end with a restart');
    const browser = browserOn(before);
    await browser.post('/login', { form: ADA });
    await before.stop();

    const after = browserOn(await quickstart(env), {}, browser.cookies);
    expect((await after.get('/me')).json()).toEqual(ADA_IN_PUBLIC);
  });
});
