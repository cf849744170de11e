import { SessionRegistry, UserSerializer } from '../../lib/index.js';
import type { TestApplication, User } from './application.js';
import type { Browser } from './browser.js';
import { cookieFor, responseTo } from './devices.js';
import { DAY, HOUR } from './session-stores.js';

/** Users who are gone, by id. */
export const gone = new Set<string>();

/** Keeps the user as it is, until it is gone. */
export class VanishingSerializer extends UserSerializer<User, User> {
  serializeUser(user: User) {
    return user;
  }
  deserializeUser(user: User) {
    return gone.has(user.id) ? null : user;
  }
}

/** Ada, who is logged in. */
export interface Visit {
  readonly application: TestApplication;
  readonly browser: Browser;
  readonly handle: string;
}

/** Each way in which a session ends, by what is told of it. `endsOthers`: sessions of other users end with it. */
export interface SessionEnding {
  readonly cause: string;
  readonly reason: string;
  readonly endsOthers?: true;
  /** The application has `maxSessions: { limit: 1 }`, and a {@link VanishingSerializer}. */
  end(visit: Visit): Promise<unknown>;
}

const registryOf = ({ application }: Visit) => application.app.get(SessionRegistry);

export const SESSION_ENDINGS: readonly SessionEnding[] = [
  { cause: 'a logout', reason: 'logged_out', end: ({ browser }) => browser.post('/logout') },
  { cause: 'a revocation', reason: 'revoked', end: (visit) => registryOf(visit).revoke('1', visit.handle) },
  { cause: 'a revocation of all', reason: 'revoked', end: (visit) => registryOf(visit).revokeAll('1') },
  {
    cause: 'a revocation of everyone',
    reason: 'revoked',
    endsOthers: true,
    end: (visit) => registryOf(visit).revokeEveryone(),
  },
  {
    cause: 'new credentials',
    reason: 'credentials_changed',
    end: (visit) => registryOf(visit).credentialsChanged('1'),
  },
  { cause: 'disabling the user', reason: 'revoked', end: (visit) => registryOf(visit).userDisabled('1') },
  { cause: 'a login on one device too many', reason: 'limit', end: ({ application }) => application.loggedIn() },
  {
    cause: 'a copied cookie',
    reason: 'reuse_detected',
    end: ({ application, handle }) => responseTo(application, cookieFor({ handle, secret: 'x'.repeat(43) })),
  },
  {
    cause: 'a login of another user in the browser',
    reason: 'logged_out',
    endsOthers: true, // That is one device too many.
    end: ({ browser }) => browser.post('/login', { json: { username: 'grace', password: 'hopper' } }),
  },
  {
    cause: 'the loss of the user',
    reason: 'revoked',
    async end({ browser }) {
      gone.add('1');
      await browser.get('/me');
    },
  },
  { cause: 'an hour without use', reason: 'expired', endsOthers: true, end: (visit) => pass(visit, HOUR) },
  { cause: 'the absolute limit', reason: 'expired', endsOthers: true, end: (visit) => pass(visit, DAY) },
];

function pass({ application }: Visit, time: number): Promise<void> {
  application.clock.advance(time);
  return Promise.resolve();
}
