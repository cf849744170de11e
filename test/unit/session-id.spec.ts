import { createHash } from 'node:crypto';
import {
  formatSessionId,
  hashSecret,
  isHandle,
  isUserHandle,
  newAnonymousSessionId,
  newSecret,
  newUserSessionId,
  parseSessionId,
  sameHash,
  splitHandle,
  tagOfUser,
} from '../../lib/model/session-id.js';

const USERS = ['ada', '', '42', 'a {user}', '\u{1f600}'];

describe('the handle of a session', () => {
  it.each(USERS)(
    "starts with 16 characters of the hash of its user's id, and goes on with 12 random ones: %p",
    (userId) => {
      const [one, other] = [newUserSessionId(userId).handle, newUserSessionId(userId).handle];
      const tag = createHash('sha256').update(userId).digest('base64url').slice(0, 16);

      for (const handle of [one, other]) {
        expect(handle).toMatch(/^[\w-]{28}$/);
        expect(handle.slice(0, 16)).toBe(tag);
        expect(splitHandle(handle)).toEqual({ tag: tagOfUser(userId), rest: handle.slice(16) });
        expect([isHandle(handle), isUserHandle(handle)]).toEqual([true, true]);
      }
      expect(one).not.toBe(other);
    },
  );

  it("is random where it is nobody's, and tells that by its form", () => {
    const [one, other] = [newAnonymousSessionId().handle, newAnonymousSessionId().handle];

    for (const handle of [one, other]) {
      expect(handle).toMatch(/^[\w-]{24}$/);
      expect(splitHandle(handle)).toEqual({ tag: handle.slice(0, 12), rest: handle.slice(12) });
      expect([isHandle(handle), isUserHandle(handle)]).toEqual([true, false]);
    }
    expect(splitHandle(one).tag).not.toBe(splitHandle(other).tag);
  });

  it.each(['', 'x'.repeat(20), 'x'.repeat(23), 'x'.repeat(27), 'x'.repeat(29), '*'.repeat(28), `${'x'.repeat(28)}\n`])(
    'is not %p',
    (text) => {
      expect([isHandle(text), isUserHandle(text)]).toEqual([false, false]);
    },
  );
});

describe('the secret of a session', () => {
  it('has 256 random bits', () => {
    const secrets = Array.from({ length: 1000 }, newSecret);

    expect(new Set(secrets).size).toBe(1000);
    for (const secret of secrets) expect(Buffer.from(secret, 'base64url')).toHaveLength(32);
  });

  it('is known by 132 bits of its hash', () => {
    const secret = newSecret();
    const hash = hashSecret(secret);

    expect(hash).toHaveLength(22);
    expect(createHash('sha256').update(secret).digest('base64url').startsWith(hash)).toBe(true);
    expect([sameHash(hash, hash), sameHash(hash, hashSecret(newSecret())), sameHash(hash, '')]).toEqual([
      true,
      false,
      false,
    ]);
  });
});

describe('the id of a session', () => {
  it.each([newUserSessionId('ada'), newAnonymousSessionId()])('is its handle and its secret (%#)', (id) => {
    expect(formatSessionId(id)).toBe(`${id.handle}.${id.secret}`);
    expect(parseSessionId(formatSessionId(id))).toEqual(id);
  });

  it.each([
    '',
    '.',
    newUserSessionId('ada').handle,
    `${newUserSessionId('ada').handle}.`,
    `.${newSecret()}`,
    `${'x'.repeat(20)}.${newSecret()}`,
    `${newUserSessionId('ada').handle}.${newSecret()}.x`,
    `${newUserSessionId('ada').handle}.${newSecret().slice(1)}`,
  ])('has no other form (%#)', (text) => {
    expect(parseSessionId(text)).toBeUndefined();
  });
});
