import {
  type Ending,
  endedSession,
  type EndedSession,
  rememberedFor,
  signOutReason,
} from '../../lib/model/session-end.js';
import { hashSecret, newAnonymousSessionId, newSecret, newUserSessionId } from '../../lib/model/session-id.js';

const DAY = 24 * 3_600_000;
const ENDINGS: Ending[] = ['revoked', 'limit', 'credentials_changed', 'logged_out', 'reuse_detected', 'replaced'];
const login = { userId: 'ada', at: 0 };

describe('the end of a session', () => {
  it.each(ENDINGS)("is remembered for a day, of a user's: %s", (ending) => {
    expect(rememberedFor({ login }, ending)).toBe(DAY);
  });

  it.each(ENDINGS)(
    "is remembered for a minute of nobody's, where a login replaced it, and else not at all: %s",
    (ending) => {
      expect(rememberedFor({}, ending)).toBe(ending === 'replaced' ? 60_000 : 0);
    },
  );

  it.each(ENDINGS)('leaves its reason and the hashes of all secrets: %s', (ending) => {
    const rotation = {
      since: 0,
      pending: 'pending',
      grace: [
        { hash: 'former', until: 1 },
        { hash: 'older', until: 0 },
      ],
    };

    expect(endedSession({ secretHash: 'current', rotation }, ending)).toEqual({
      reason: ending === 'replaced' ? 'logged_out' : ending,
      replaced: ending === 'replaced',
      secretHashes: ['current', 'pending', 'former', 'older'],
    });
    expect(endedSession({ secretHash: 'current' }, ending, { shownHash: 'shown' }).secretHashes).toEqual([
      'current',
      'shown',
    ]);
  });
});

describe('why somebody is signed out', () => {
  const id = newUserSessionId('ada');
  const ended: EndedSession = {
    reason: 'credentials_changed',
    replaced: false,
    secretHashes: [hashSecret(newSecret()), hashSecret(id.secret)],
  };

  it('is the reason of the end, for who shows a secret of the session', () => {
    expect(signOutReason(id, ended)).toBe('credentials_changed');
  });

  it('is nothing after a step-up: the session goes on', () => {
    const { handle } = newUserSessionId('ada');

    expect(signOutReason(id, { ...ended, successor: handle })).toBeUndefined();
  });

  it.each([newSecret(), '', hashSecret(id.secret), id.secret.slice(1), `${id.secret}x`])(
    'is told to nobody who shows another secret: %#',
    (secret) => {
      expect(signOutReason({ ...id, secret }, ended)).toBeUndefined();
    },
  );

  it("is that it expired, of a user's session of which nothing is known", () => {
    expect(signOutReason(id, undefined)).toBe('expired');
  });

  it("is nothing of a session that was nobody's", () => {
    const anonymous = newAnonymousSessionId();

    expect(signOutReason(anonymous, undefined)).toBeUndefined();
    expect(signOutReason({ ...anonymous, secret: id.secret }, ended)).toBeUndefined();
  });
});
