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
