import type { SignOutReason } from 'nestjs-session-auth';

/** Why a visitor sees the login page, by the code in its address. */
const SENTENCES: Record<SignOutReason, string> = {
  expired: 'Your session has expired. Log in again to go on.',
  revoked: 'You were signed out from another of your devices.',
  limit: 'You were signed out because you logged in on too many other devices.',
  credentials_changed: 'You were signed out because your password has changed.',
  logged_out: 'You have logged out.',
  reuse_detected: 'You were signed out because an old copy of your session cookie was used. It may have been stolen.',
};

/** The sentence for a code; nothing for an unknown code, since anybody can make up an address. */
export function whySignedOut(code: unknown): string {
  return typeof code === 'string' && Object.hasOwn(SENTENCES, code) ? SENTENCES[code as SignOutReason] : '';
}
