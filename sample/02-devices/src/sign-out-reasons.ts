import type { SignOutReason } from 'nestjs-session-auth';

/** Why somebody is shown the login page, by the code in its address. `expired` is what `session-end.js` has seen. */
const SENTENCES: Record<SignOutReason | 'expired', string> = {
  expired: 'Your session has run out. Log in again to go on.',
  idle_timeout: 'You were signed out because you had not been here for a while.',
  absolute_timeout: 'You were signed out because your login was too long ago.',
  revoked: 'You were signed out from another of your devices.',
  limit: 'You were signed out because you logged in on too many other devices.',
  credentials_changed: 'You were signed out because your password has changed.',
  logged_out: 'You have logged out.',
  reuse_detected: 'You were signed out because an old copy of your session cookie was used. It may have been stolen.',
};

/** The sentence for a code. Anybody can make up an address: what is no known code says nothing. */
export function whySignedOut(code: unknown): string {
  return typeof code === 'string' && Object.hasOwn(SENTENCES, code) ? SENTENCES[code as SignOutReason] : '';
}
