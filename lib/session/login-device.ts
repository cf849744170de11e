import { randomBytes } from 'node:crypto';
import type { SessionRequest } from '../http/session-request.js';
import { type DeviceMarker, type MarkedUser, renewedMarker, sparedMethods } from '../model/device-marker.js';
import type { Spared, TrustFor } from '../model/login-record.js';
import type { SessionRepository } from './session-repository.js';
import type { SessionRuntime } from './session-runtime.js';

/** Random bytes of a trust epoch. */
const EPOCH_BYTES = 16;

/** The browser of a login, as its marker of this user tells it: known or new, and trusted or not. */
export class LoginDevice {
  #marker: DeviceMarker | null | undefined;

  constructor(
    private readonly request: SessionRequest,
    private readonly runtime: SessionRuntime,
    private readonly repository: SessionRepository,
    private readonly user: MarkedUser,
  ) {}

  /** Whether the user has not logged in on it before; `undefined` where markers are not set at each login. */
  get isNew(): boolean | undefined {
    return this.runtime.options.knownDevices ? this.#found === undefined : undefined;
  }

  /** Those of these methods that the user need not prove on it. It takes a command only where the marker names one. */
  async spared(methods: readonly string[]): Promise<Spared | undefined> {
    const { trust } = this.repository;
    const epoch = methods.length > 0 ? this.#found?.trust?.epoch : undefined;
    const spared = sparedMethods(this.#found, methods);
    if (trust === undefined || epoch === undefined || spared.length === 0) {
      return undefined;
    }
    const current = await this.#ask((budget) => trust.find(this.user.userId, budget));
    return current === epoch ? { methods: spared, epoch } : undefined;
  }

  /**
   * The cookie that the login sets in this browser; `undefined` for none. Call it before the session is opened: what ends
   * the sessions of the user then ends the trust too.
   *
   * @param trustFor the methods that the browser is to be spared from now on; none, where the store keeps no trust
   */
  async mark(trustFor: readonly TrustFor[] = []): Promise<string | undefined> {
    const { devices, clock, options } = this.runtime;
    if (trustFor.length === 0 && !options.knownDevices) {
      return undefined;
    }
    const epoch = trustFor.length === 0 ? undefined : await this.#grant(Math.max(...trustFor.map(([, time]) => time)));
    const now = clock.now();
    const granted = epoch === undefined ? undefined : { epoch, methods: trustFor.map(until(now)) };
    return devices.issue(this.request, this.user, renewedMarker(this.#found, granted, now));
  }

  async #grant(lifetime: number): Promise<string | undefined> {
    const { trust } = this.repository;
    const fresh = randomBytes(EPOCH_BYTES).toString('base64url');
    return trust && this.#ask((budget) => trust.grant(this.user.userId, fresh, lifetime, budget));
  }

  #ask<T>(command: (budget: SessionRepository['budget']) => Promise<T>): Promise<T> {
    return this.repository.ask('trust', command(this.repository.budget));
  }

  get #found(): DeviceMarker | undefined {
    const { devices, clock } = this.runtime;
    this.#marker ??= devices.find(this.request, this.user, clock.now()) ?? null;
    return this.#marker ?? undefined;
  }
}

function until(now: number): (trustFor: TrustFor) => readonly [method: string, until: number] {
  return ([method, duration]) => [method, now + duration];
}
