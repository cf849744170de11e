import { setImmediate } from 'node:timers/promises';
import { Injectable } from '@nestjs/common';
import { SESSION_STORE, SessionConnections, SessionRegistry, UserSerializer } from '../../lib/index.js';
import type { AtomicSessionStore } from '../../lib/store/session-store.js';
import { LocalStrategy, type TestApplication, type User } from '../support/application.js';
import type { Browser } from '../support/browser.js';
import { idOf, sessionsIn } from '../support/devices.js';
import { eventually } from '../support/eventually.js';
import { Gate } from '../support/gate.js';
import { GuardedGateway, OpenGateway, type TestClient, TRANSPORTS } from '../support/gateways.js';

/** Connections that are opened at a time. */
const AT_ONCE = 10;

/** Where handshakes of Ada wait: their session has been read, and their connection is not registered yet. */
let gates: Gate[] | undefined;

/** Restores the user, and lets the request wait before it goes on. */
@Injectable()
class WaitingSerializer extends UserSerializer<User, User> {
  serializeUser(user: User): User {
    return user;
  }
  async deserializeUser(user: User): Promise<User> {
    const gate = user.id === '1' ? gates?.find((one) => !one.isReached) : undefined;
    await gate?.pass();
    return user;
  }
}

/** Revokes sessions here, in so many rounds, while they connect there: no connection may outlive its session. */
export function raceRevocationsWithHandshakes(rounds: number): void {
  const cases = TRANSPORTS.slice(0, 2).flatMap((transport) =>
    [GuardedGateway, OpenGateway].map((gateway) => ({ ...transport, gateway })),
  );

  describe.each(cases)('handshakes over $name with a $gateway.name', ({ configure, open, gateway }) => {
    const all: TestClient[] = [];
    afterEach(() => {
      gates = undefined;
      for (const client of all.splice(0)) client.close();
    });
    const home = sessionsIn('redis');
    let here: TestApplication;
    let there: TestApplication;
    let connections: SessionConnections;

    beforeEach(async () => {
      const options = { connections: { recheck: '1h' } };
      here = await home.start({ options });
      there = await home.start({ configure, options, providers: [WaitingSerializer, LocalStrategy, gateway] });
      connections = there.app.get(SessionConnections);
    });

    /** One that stays, so that the subscription does too. */
    async function witness(): Promise<TestClient & { handle: string }> {
      const browser = await here.loggedIn('grace', 'hopper');
      const client = await open(there, browser);
      all.push(client);
      return Object.assign(client, { handle: idOf(browser).handle });
    }
    const revoke = (user: string, handle: string) => here.app.get(SessionRegistry).revoke(user, handle);

    async function expectNoSurvivor(clients: readonly TestClient[]): Promise<void> {
      all.push(...clients);
      await eventually('no connection of theirs', () => connections.count({ user: '1' }) === 0);
      for (const client of clients) expect(await isNobody(client)).toBe(true);
    }

    it('that meet a revocation leave no connection open', async () => {
      const stays = await witness();

      for (let round = 0; round < rounds; round += AT_ONCE) {
        await expectNoSurvivor(
          await Promise.all(
            Array.from({ length: AT_ONCE }, (_, n) => race(here, (browser) => open(there, browser), (3 * n) % 30)),
          ),
        );
      }

      expect([connections.count(), stays.isOpen]).toEqual([1, true]);
    });

    it('leave none open if the revocation was heard of after the session was read, and before it was watched', async () => {
      const stays = await witness();
      await holdUpRechecks();

      for (let round = 0; round < rounds; round += AT_ONCE) {
        const browsers = await Promise.all(Array.from({ length: AT_ONCE }, () => here.loggedIn()));
        gates = browsers.map(() => new Gate());
        const opening = browsers.map((browser) => open(there, browser));
        await Promise.all(gates.map(({ reached }) => reached));
        await Promise.all(browsers.map((browser) => revoke('1', idOf(browser).handle)));
        await heardSoFar();
        for (const gate of gates) gate.open();
        await expectNoSurvivor(await Promise.all(opening));
      }

      expect([connections.count(), stays.isOpen]).toEqual([2, true]);
    });

    /**
     * The timer soon asks about new sessions as well. Here it waits for a reply that never comes, so that only what is
     * asked when a connection is registered can close that.
     */
    async function holdUpRechecks(): Promise<void> {
      const { handle } = await witness();
      const store = there.app.get<AtomicSessionStore>(SESSION_STORE);
      const find = store.find.bind(store);
      let isHeldUp = false;
      store.find = (one, budget) => {
        isHeldUp ||= one === handle;
        return one === handle ? new Promise(() => undefined) : find(one, budget);
      };
      await home.cutSubscribers(() => Promise.resolve()); // After a gap, all are asked about.
      await eventually('the timer to be held up', () => isHeldUp);
    }

    /** What was published before has been heard there: messages of one channel come in order. */
    async function heardSoFar(): Promise<void> {
      const last = await witness();
      await revoke('2', last.handle);
      expect(await last.ended()).toBe('revoked');
    }
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
  open: (browser: Browser) => Promise<TestClient>,
  turns: number,
): Promise<TestClient> {
  const browser = await here.loggedIn();
  const opening = open(browser);
  for (let turn = 0; turn < turns; turn++) await setImmediate();
  await here.app.get(SessionRegistry).revoke('1', idOf(browser).handle);
  return opening;
}
