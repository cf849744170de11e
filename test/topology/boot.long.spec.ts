import { TestApplication } from '../support/application.js';
import { eventually } from '../support/eventually.js';
import { RedisCluster } from '../support/redis-cluster.js';

/** It takes 2 to 3 seconds on an idle machine. */
const SERVES_WITHIN = 20_000;

let cluster: RedisCluster;
let application: TestApplication;
beforeAll(async () => {
  cluster = await RedisCluster.start();
});
afterEach(async () => {
  await application.close();
  await cluster.heal();
});
afterAll(() => cluster.stop());

/** A visitor whose session lies in any of the slots. */
async function visit(): Promise<number> {
  const browser = application.browser();
  return (await browser.request('PUT', '/session/colour', { json: { value: 'blue' } })).status;
}

it.each<[string, 'kill' | 'pause']>([
  ['is dead', 'kill'],
  ['hangs', 'pause'],
])(
  'an application that starts while a master %s, and none takes its place, serves the slots of the others',
  async (_, how) => {
    const [master] = await cluster.masters();
    await (await cluster.replicaOf(master!)).kill();
    await master![how]();
    application = await TestApplication.start({
      options: { redis: { cluster: { rootNodes: cluster.rootNodes } }, redisTimeout: 500 },
    });

    await eventually('somebody to be served', async () => (await visit()) === 200, { timeout: SERVES_WITHIN });
    const statuses = await Promise.all(Array.from({ length: 30 }, visit));
    expect(statuses.filter((status) => status === 200).length).toBeGreaterThanOrEqual(8); // Two thirds, by chance.
    expect(statuses).toContain(503);
    expect([200, 503]).toEqual(expect.arrayContaining([...new Set(statuses)]));

    await cluster.heal();
    await eventually(
      'all to be served',
      async () => (await Promise.all(Array.from({ length: 30 }, visit))).every((status) => status === 200),
      { timeout: SERVES_WITHIN },
    );
  },
);
