import { Controller, Post, Req } from '@nestjs/common';
import {
  type SessionAuthOptions,
  SessionAuthService,
  SessionConnections,
  SessionRegistry,
  type SessionRequest,
} from '../../lib/index.js';
import { keysOf } from '../../lib/redis/keys.js';
import { LocalStrategy, SnapshotSerializer, TestApplication } from '../support/application.js';
import { idOf } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { GuardedGateway, type TestClient, TRANSPORTS } from '../support/gateways.js';
import { LogRecorder } from '../support/log-recorder.js';
import { TOPOLOGIES, type Topology } from './topologies.js';

const { configure, open } = TRANSPORTS[0]!;
/** So long that no test is over by it. */
const NEVER = '1h';
/** How soon the application has to be of use again when there is a master again, in milliseconds. */
const RECOVERS_WITHIN = 5_000;

const closers: (() => unknown)[] = [];

@Controller('step-up')
class StepUpController {
  constructor(private readonly sessionAuth: SessionAuthService) {}

  @Post()
  async stepUp(@Req() request: SessionRequest) {
    await this.sessionAuth.reauthenticate(request);
    return {};
  }
}

/** Two processes: one where a user logs in, and one that they are connected to. */
async function twoOn(
  { redis }: Topology,
  connections: SessionAuthOptions['connections'],
  logger?: LogRecorder,
  redisThere = redis,
) {
  const options = { redis, connections };
  const providers = [SnapshotSerializer, LocalStrategy, GuardedGateway];
  const here = await TestApplication.start({ options, logger, controllers: [StepUpController] });
  closers.push(() => here.close());
  const there = await TestApplication.start({
    options: { redis: redisThere, connections },
    logger,
    configure,
    providers,
  });
  closers.push(() => there.close());
  const arrive = async () => {
    const browser = await here.loggedIn();
    const client = await open(there, browser);
    closers.push(() => client.close());
    return { browser, client, handle: idOf(browser).handle };
  };
  const revoke = (handle: string) => here.app.get(SessionRegistry).revoke('1', handle);
  return { here, there, arrive, revoke };
}

const name = async (client: TestClient) => ((await client.ask('who')) as { name?: string }).name;

for (const { name: title, start, missing, replaces } of TOPOLOGIES) {
  const describeIt = missing === undefined ? describe : describe.skip;
  describeIt(missing === undefined ? `connections on ${title}` : `connections on ${title}, but ${missing}`, () => {
    let topology: Topology;
    beforeAll(async () => {
      topology = await start();
    });
    afterEach(async () => {
      for (const close of closers.splice(0).reverse()) await close();
      await topology.masters?.heal();
    });
    afterAll(() => topology.stop());

    it('are closed by an end in another process, outlive a step-up, and nobody complains', async () => {
      const log = new LogRecorder();
      const { there, arrive, revoke } = await twoOn(topology, { recheck: NEVER }, log);
      const connections = there.app.get(SessionConnections);
      const [leaves, stepsUp, stays] = [await arrive(), await arrive(), await arrive()];

      await stepsUp.browser.post('/step-up');
      const { handle } = idOf(stepsUp.browser);
      await eventually('the connection to go over', () => connections.count({ handle }) === 1);
      await revoke(leaves.handle);
      expect(await leaves.client.ended()).toBe('revoked');
      await revoke(handle);
      expect(await stepsUp.client.ended()).toBe('revoked');

      expect([await name(stays.client), connections.count()]).toEqual(['Ada', 1]);
      expect([...log.at('warn'), ...log.at('error')]).toEqual([]);
    });

    it('are closed by it too where the application has given its own client', async () => {
      // Such a client of Sentinel does not tell where its master is.
      const recheck = title.includes('Sentinel') ? 300 : NEVER;
      const { arrive, revoke } = await twoOn(topology, { recheck }, undefined, { client: topology.client });
      const [leaves, stays] = [await arrive(), await arrive()];

      await revoke(leaves.handle);

      expect(await leaves.client.ended()).toBe('revoked');
      expect(await name(stays.client)).toBe('Ada');
    });

    if (!replaces) return;

    it.each<['failover' | 'crash' | 'hang', string]>([
      ['failover', NEVER],
      ['crash', NEVER],
      ['hang', '1s'], // A hung server keeps its connections, so that it takes time until the subscription is given up.
    ])('outlive a %s of the master, and end with their session afterwards', async (way, recheck) => {
      const { there, arrive, revoke } = await twoOn(topology, { recheck });
      const [leaves, stays] = [await arrive(), await arrive()];

      await topology.masters![way](keysOf('sess:', leaves.handle).session);
      await eventually('the session to be served', async () => (await leaves.browser.get('/me')).status === 200, {
        timeout: RECOVERS_WITHIN,
      });
      expect([leaves.client.isOpen, stays.client.isOpen]).toEqual([true, true]);

      await eventually('a revocation', () => revoke(leaves.handle), { timeout: RECOVERS_WITHIN });
      expect(await leaves.client.ended()).toBe('revoked');
      await eventually('messages to work', async () => (await name(stays.client)) === 'Ada');
      expect(there.app.get(SessionConnections).count()).toBe(1);
    });
  });
}
