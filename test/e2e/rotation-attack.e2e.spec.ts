import { randomUUID } from 'node:crypto';
import { hashSecret } from '../../lib/model/session-id.js';
import type { TestApplication } from '../support/application.js';
import { describePlatforms, storesOn } from '../support/platforms.js';
import { RedisDeployment } from '../support/redis-deployment.js';
import { rotatingApplication } from '../support/rotating-application.js';
import { idIn, recordOf, shownBy, type ShownId, signed } from '../support/rotating-browser.js';

const MINUTE = 60_000;
const ROTATE_EVERY = 15 * MINUTE;
const GRACE = 30_000;

/** What a browser, or a thief with a copy of its cookie, gets for a secret. */
interface Reply {
  /** Whether the secret opened the session. */
  readonly isIn: boolean;
  /** The secret that the response sets in the cookie. */
  readonly next: string | undefined;
}

/** A site with one session, seen by those who have secrets of it. */
interface Site {
  /** The secret that the owner's login has set. */
  readonly first: string;
  /** Sends a request with this secret in the cookie. */
  show(secret: string): Promise<Reply>;
  /** Whether this secret is the current one. */
  isCurrent(secret: string): Promise<boolean>;
  advance(milliseconds: number): void;
}

/**
 * The rule that this module had before, in memory: each offer is a new random secret, one request in each grace gets one, and
 * an offer that nobody has shown stays good.
 */
class OldRule implements Site {
  readonly first: string = randomUUID();
  #now = 0;
  #current = this.first;
  #since = 0;
  #offers: string[] = [];
  #offeredAt = -Infinity;
  #grace: { secret: string; until: number }[] = [];
  #hasEnded = false;

  show(secret: string): Promise<Reply> {
    return Promise.resolve(this.#show(secret));
  }

  isCurrent(secret: string): Promise<boolean> {
    return Promise.resolve(this.#current === secret);
  }

  advance(milliseconds: number): void {
    this.#now += milliseconds;
  }

  #show(secret: string): Reply {
    const good = this.#grace.filter(({ until }) => this.#now < until);
    const isFormer = good.some((former) => former.secret === secret);
    if (this.#offers.includes(secret) && good.length === 0) {
      this.#promote(secret);
    } else if (secret !== this.#current && !isFormer && !this.#offers.includes(secret)) {
      this.#hasEnded = true; // An old copy.
    }
    return { isIn: !this.#hasEnded, next: secret === this.#current && !this.#hasEnded ? this.#offer() : undefined };
  }

  #promote(secret: string): void {
    this.#grace.push({ secret: this.#current, until: this.#now + GRACE });
    this.#current = secret;
    this.#since = this.#now;
    this.#offeredAt = -Infinity;
    this.#offers = this.#offers.filter((offer) => offer !== secret);
  }

  #offer(): string | undefined {
    if (this.#now - this.#since < ROTATE_EVERY || this.#now - this.#offeredAt < GRACE) return undefined;
    const offer = randomUUID();
    this.#offers = [...this.#offers, offer].slice(-4);
    this.#offeredAt = this.#now;
    return offer;
  }
}

/** This module, over HTTP. */
class ThisModule implements Site {
  private constructor(
    private readonly application: TestApplication,
    private readonly id: ShownId,
  ) {}

  static async of(application: TestApplication): Promise<ThisModule> {
    return new ThisModule(application, shownBy(await application.loggedIn()));
  }

  get first(): string {
    return this.id.secret;
  }

  async show(secret: string): Promise<Reply> {
    const cookie = `sid=${signed({ handle: this.id.handle, secret })}`;
    const response = await fetch(`${this.application.url}/me`, { headers: { cookie } });
    await response.text();
    const [set] = response.headers.getSetCookie().filter((header) => header.includes('s%3A'));
    return { isIn: response.status === 200, next: set && idIn(set).secret };
  }

  async isCurrent(secret: string): Promise<boolean> {
    return (await recordOf(this.application, this.id))?.secretHash === hashSecret(secret);
  }

  advance(milliseconds: number): void {
    this.application.clock.advance(milliseconds);
  }
}

/** A browser: it shows what the last response has set. */
class Owner {
  constructor(
    private readonly site: Site,
    public secret = site.first,
  ) {}

  async request(): Promise<Reply> {
    const reply = await this.site.show(this.secret);
    this.secret = reply.next ?? this.secret;
    return reply;
  }
}

/**
 * A thief with a copy of the cookie asks first whenever an offer falls due, and throws it away.
 *
 * @returns whether the secret that was stolen is still the current one after three hours, in which the owner was busy
 */
async function starve(site: Site): Promise<{ thiefIsIn: boolean; hasRotated: boolean }> {
  const owner = new Owner(site);
  for (let halfMinute = 0; halfMinute < 360; halfMinute++) {
    site.advance(GRACE);
    if (await site.isCurrent(site.first)) await site.show(site.first);
    await owner.request();
  }
  const hasRotated = !(await site.isCurrent(site.first));
  return { thiefIsIn: (await site.show(site.first)).isIn, hasRotated };
}

/**
 * A thief takes an offer, keeps it unshown until the owner has rotated twice, and shows it then.
 *
 * @returns who is signed in afterwards
 */
async function keepOffer(site: Site): Promise<{ thiefIsIn: boolean; ownerIsIn: boolean }> {
  const owner = new Owner(site);
  site.advance(ROTATE_EVERY);
  const { next: kept = '' } = await site.show(site.first);
  for (let rotation = 0; rotation < 2; rotation++) {
    site.advance(GRACE);
    await owner.request();
    await owner.request();
    site.advance(ROTATE_EVERY);
  }
  await owner.request();
  await owner.request();
  site.advance(GRACE);
  const { isIn: thiefIsIn } = await site.show(kept);
  site.advance(GRACE);
  return { thiefIsIn, ownerIsIn: (await owner.request()).isIn };
}

describe('a thief who asks for each offer first and throws it away', () => {
  it('keeps the session from ever rotating, under the rule of one offer at a time', async () => {
    expect(await starve(new OldRule())).toEqual({ thiefIsIn: true, hasRotated: false });
  });
});

describe('a thief who keeps an offer', () => {
  it('takes the session over later and signs the owner out, under the rule of random offers', async () => {
    expect(await keepOffer(new OldRule())).toEqual({ thiefIsIn: true, ownerIsIn: false });
  });
});

describePlatforms((platform) => {
  describe.each(storesOn(platform))('with sessions in %s', (where) => {
    let redis: RedisDeployment | undefined;
    let application: TestApplication;

    beforeAll(async () => {
      redis = await RedisDeployment.startIn(where);
      application = await rotatingApplication({ options: { redis: redis?.options } });
    });

    afterAll(async () => {
      await application.close();
      await redis?.stop();
    });

    it('a thief who asks for each offer first and throws it away does not keep the session from rotating', async () => {
      const site = await ThisModule.of(application);

      expect(await starve(site)).toEqual({ thiefIsIn: false, hasRotated: true });
      expect(application.events.at(-1)).toMatchObject({ type: 'reuse-detected' });
    });

    it('a thief who keeps an offer opens nothing with it later, and is found out', async () => {
      const site = await ThisModule.of(application);

      expect(await keepOffer(site)).toMatchObject({ thiefIsIn: false });
      expect(application.events.at(-1)).toMatchObject({ type: 'reuse-detected' });
    });
  });
});
