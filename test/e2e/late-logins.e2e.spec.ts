import { SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { cookieOf, handlesIn, ProofController, responseTo } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gate, Gates } from '../support/gate.js';
import { describePlatforms } from '../support/platforms.js';
import { DEPLOYMENTS, type RedisClient, RedisDeployment } from '../support/redis-deployment.js';

const ADA = { username: 'ada', password: 'lovelace' };

/** How the reply comes that a login has waited for in vain. */
const REPLIES: [string, () => void][] = [
  ['late', () => undefined],
  [
    'never, since the connection is lost',
    () => {
      throw new Error('Socket closed unexpectedly');
    },
  ],
];

/** A client that holds back the replies to scripts that Redis has carried out. It cannot take commands back. */
function holding(real: RedisClient) {
  const client = Object.create(real, { withCommandOptions: { value: undefined } }) as RedisClient;
  const held = { client, gate: undefined as Gate | undefined, reply: (): void => undefined };
  for (const name of ['eval', 'evalSha'] as const) {
    const script = real[name] as (...args: unknown[]) => Promise<unknown>;
    Object.defineProperty(client, name, {
      async value(this: unknown, ...args: unknown[]) {
        const { gate } = held;
        const result = await script.apply(this, args);
        await gate?.pass();
        if (gate !== undefined) held.reply();
        return result;
      },
    });
  }
  return held;
}

describePlatforms((platform) => {
  // Each case waits until time budgets have run out, and no platform knows a cluster: Fastify is tried without one.
  const deployments = DEPLOYMENTS.filter((kind) => platform === 'express' || kind !== 'cluster');

  describe.each(deployments)('a login that Redis (%s) carries out, and whose reply comes', (where) => {
    let redis: RedisDeployment;
    let held: ReturnType<typeof holding>;
    let application: TestApplication;

    beforeAll(async () => {
      redis = await RedisDeployment.start(where);
    });

    beforeEach(async () => {
      held = holding(await redis.connect());
      application = await TestApplication.start({
        controllers: [ProofController],
        providers: [Gates, SnapshotSerializer, LocalStrategy],
        options: {
          redis: { client: held.client } as never,
          redisTimeout: 500,
          maxSessions: { limit: 2, overflow: 'evict-oldest' },
        },
      });
    });

    afterEach(async () => {
      await application.close();
      await redis.flush();
    });

    afterAll(() => redis.stop());

    /** Sends a request to which Redis's reply is held until the browser has been refused. */
    const tooLate = async (send: () => Promise<{ status: number }>, reply: () => void) => {
      const gate = new Gate();
      Object.assign(held, { gate, reply });
      const sent = send();
      await gate.reached;
      expect((await sent).status).toBe(503);
      held.gate = undefined;
      gate.open();
    };
    const handles = () => handlesIn(application);

    it.each(REPLIES)('%s, leaves no session, and no retry of it ends that of another device', async (_, reply) => {
      const phone = await application.loggedIn();
      const [kept] = await handles();
      for (let attempt = 0; attempt < 3; attempt++) {
        await tooLate(() => application.browser().post('/login', { json: ADA }), reply);
        await eventually('the session to be gone', async () => (await handles()).join() === kept);
      }

      expect((await phone.get('/me')).status).toBe(200);
      expect(await application.app.get(SessionRegistry).count('1')).toBe(1);
    });

    it.each(REPLIES)('%s, leaves no session where it was a step-up, whose browser has to log in', async (_, reply) => {
      const browser = await application.loggedIn();
      await tooLate(() => browser.post('/proof/step-up'), reply);
      await eventually('the session to be gone', async () => (await handles()).length === 0);

      expect(await responseTo(browser, cookieOf(browser))).toEqual({ status: 401 });
    });
  });
});
