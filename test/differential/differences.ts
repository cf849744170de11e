/**
 * Where the request loop means to differ from express-session: the titles under which docs/differences.md says how and
 * why. Each has a scenario that shows both sides. The comparison of random requests foresees the first five and allows
 * nothing else.
 */
export const DIFFERENCES = {
  renewal: 'The cookie is renewed with the session, not with every change of its data',
  lag: 'Use is written down now and then, not on every request',
  wish: 'A new cookie.maxAge reaches the store and the browser with the answer',
  cache: 'An answer that sets the session cookie is not to be cached',
  end: 'Every session ends',
  empty: 'Nothing empty is stored',
  early: 'The session is saved before the first byte',
  failedSave: 'A save that fails is an error answer',
  failedLoad: 'A store that cannot be read leaves the request without a session',
  failedTouch: 'Use that cannot be written down fails no request',
  ended: 'A session that has ended is not saved again',
  merged: 'Parallel requests keep each other’s changes',
  id: 'The store never sees what the browser shows',
  attributes: 'Cookie attributes are never stored',
  unsendable: 'A session whose cookie cannot be sent is not stored',
  candidates: 'Every cookie of the name is tried',
  path: 'Paths match on segment boundaries',
  resigned: 'A cookie signed by an older secret is signed anew',
  rotated: 'The secret in the cookie changes now and then',
  unserializable: 'What JSON cannot carry is an error answer',
  foreign: 'What is no session is taken for none',
  header: 'The session cookie is read from the Cookie header alone',
  node: 'The answer is written as Node writes it',
} as const;

export type Difference = keyof typeof DIFFERENCES;
