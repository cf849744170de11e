import { Injectable } from '@nestjs/common';
import { Secret, TOTP } from 'otpauth';
import { Attempts } from './attempts.js';
import type { User } from './users.service.js';

const PERIOD = 30;
/** The clocks of a phone and a server differ: the codes just before and after count, too. */
const WINDOW = 1;
const MOST_ATTEMPTS = 5;

interface Authenticator {
  readonly totp: TOTP;
  /** The time step of the last code that was used. Neither that one nor an earlier one is good again (RFC 6238, 5.2). */
  lastStep: number;
}

/** The authenticator apps of users (TOTP). In a database, encrypt the secrets: unlike passwords they cannot be hashed. */
@Injectable()
export class CodesService {
  private readonly active = new Map<string, Authenticator>();
  /** Shown as a QR code, but no code of it has been seen yet. */
  private readonly offered = new Map<string, Authenticator>();

  constructor(private readonly attempts: Attempts) {}

  isActive({ id }: User): boolean {
    return this.active.has(id);
  }

  /** A new authenticator. Of several the last one counts: nobody's second factor is one that was shown to others before. */
  offer({ id, username }: User): TOTP {
    const secret = new Secret({ size: 20 });
    const totp = new TOTP({ issuer: 'Two factors', label: username, period: PERIOD, secret });
    this.offered.set(id, { totp, lastStep: 0 });
    return totp;
  }

  /** The one that was offered last. */
  offeredTo({ id }: User): TOTP | undefined {
    return this.offered.get(id)?.totp;
  }

  /** Makes the offered authenticator the user's own, if this is a code of it. */
  activate(user: User, code: unknown): boolean {
    const offered = this.offered.get(user.id);
    if (!offered || this.isActive(user) || !this.use(user, offered, code)) return false;
    this.offered.delete(user.id);
    this.active.set(user.id, offered);
    return true;
  }

  /** Whether this is a code of the user's authenticator. It is used up by that. */
  accept(user: User, code: unknown): boolean {
    const authenticator = this.active.get(user.id);
    return authenticator !== undefined && this.use(user, authenticator, code);
  }

  remove({ id }: User): void {
    this.active.delete(id);
  }

  private use({ id }: User, authenticator: Authenticator, code: unknown): boolean {
    // By user, not by session: whoever knows the password can begin as many logins as they like.
    this.attempts.spend(`code ${id}`, MOST_ATTEMPTS);
    const token = typeof code === 'string' ? code.replace(/\s/g, '') : '';
    const timestamp = Date.now();
    const delta = authenticator.totp.validate({ token, timestamp, window: WINDOW });
    const step = Math.floor(timestamp / 1000 / PERIOD) + (delta ?? 0);
    if (delta === null || step <= authenticator.lastStep) return false;
    authenticator.lastStep = step;
    this.attempts.succeeded(`code ${id}`);
    return true;
  }
}
