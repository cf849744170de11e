import { setImmediate } from 'node:timers/promises';
import { SessionConnections, SessionRegistry } from '../../lib/index.js';
import { LocalStrategy, SnapshotSerializer, type TestApplication } from '../support/application.js';
import { idOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { GuardedGateway, OpenGateway, type TestClient, TRANSPORTS } from '../support/gateways.js';

/** Connections that are opened at a time. */
const AT_ONCE = 10;

/** Revokes sessions here, in so many rounds, while they connect there: no connection may outlive its session. */
export function raceRevocationsWithHandshakes(rounds: number): void {
  const cases = TRANSPORTS.slice(0, 2).flatMap((transport) =>
    [GuardedGateway, OpenGateway].map((gateway) => ({ ...transport, gateway })),
  );

  describe.each(cases)('handshakes over $name with a $gateway.name', ({ configure, open, gateway }) => {
    const all: TestClient[] = [];
    afterEach(() => {
      for (const client of all.splice(0)) client.close();
    });
    const home = sessionsIn('redis');

    it('that meet a revocation leave no connection open', async () => {
      const options = { connections: { recheck: '1h' } };
      const there = await home.start({ configure, options, providers: [SnapshotSerializer, LocalStrategy, gateway] });
      const here = await home.start({ options });
      const connections = there.app.get(SessionConnections);
      // One that stays, so that the subscription does too.
      const witness = await open(there, await here.loggedIn('grace', 'hopper'));
      all.push(witness);

      for (let round = 0; round < rounds; round += AT_ONCE) {
        const clients = await Promise.all(
          Array.from({ length: AT_ONCE }, (_, n) => race(here, (browser) => open(there, browser), (3 * n) % 30)),
        );
        all.push(...clients);
        await eventually('no connection of theirs', () => connections.count({ user: '1' }) === 0);
        for (const client of clients) expect(await isNobody(client)).toBe(true);
      }

      expect([connections.count(), witness.isOpen]).toEqual([1, true]);
    });
  });
}

/** Whether a client is connected as a visitor, or is closed. */
async function isNobody(client: TestClient): Promise<boolean> {
  const replies = () => client.messages.filter(({ event }) => event === 'anybody');
  if (client.isOpen) client.send('anybody');
  await eventually('a reply or the end', () => !client.isOpen || replies().length > 0);
  return replies().every(({ data }) => data === null);
}

/** @param turns of the event loop after which the session is revoked, while its client connects */
async function race(
  here: TestApplication,
  open: (browser: Awaited<ReturnType<TestApplication['loggedIn']>>) => Promise<TestClient>,
  turns: number,
): Promise<TestClient> {
  const browser = await here.loggedIn();
  const opening = open(browser);
  for (let turn = 0; turn < turns; turn++) await setImmediate();
  await here.app.get(SessionRegistry).revoke('1', idOf(browser).handle);
  return opening;
}
