/**
 * Where the request loop means to differ from express-session: the titles under which docs/differences.md says how and
 * why. Each has a scenario that shows both sides. The comparison of random requests foresees the first five and allows
 * nothing else.
 */
export const DIFFERENCES = {
  renewal: 'Neither activity nor a change of data renews the cookie',
  lag: 'Activity is written down now and then, not on every request',
  wish: 'A new cookie.maxAge reaches the store and the browser with the response',
  cache: 'A response that sets the session cookie is not cached',
  end: 'Every session ends',
  empty: 'Nothing empty is stored',
  early: 'The session is saved before the first byte',
  failedSave: 'A save that fails is an error response',
  failedLoad: 'A store that cannot be read leaves the request without a session',
  failedTouch: 'Activity that cannot be written down fails no request',
  ended: 'A session that has ended is not saved again',
  merged: 'Parallel requests keep each other’s changes',
  id: 'The store never sees what the browser shows',
  attributes: 'Cookie attributes come from the configuration alone',
  unsendable: 'A session whose cookie cannot be sent is not stored',
  candidates: 'Every cookie of the name is tried',
  path: 'Paths match on segment boundaries',
  resigned: 'A cookie signed by an older secret is signed anew',
  rotated: 'The secret in the cookie changes now and then',
  unserializable: 'A value that JSON cannot carry is an error response',
  foreign: 'A stored value that is no session counts as none',
  header: 'The session cookie is read from the Cookie header alone',
  node: 'The response is written as Node writes it',
} as const;

export type Difference = keyof typeof DIFFERENCES;
