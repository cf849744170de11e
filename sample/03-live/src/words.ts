import Bowser from 'bowser';
import type { Device } from 'nestjs-session-auth';

/** `Firefox on Linux`. A user agent says what it likes: these are words to show, escaped, and not to trust. */
export function deviceInWords({ userAgent }: Device): string {
  if (!userAgent) return 'Unknown browser';
  const { browser, os } = Bowser.parse(userAgent);
  // Programs name themselves in front: `curl/8.5.0`.
  const program = browser.name || userAgent.split(/[/ ]/)[0] || 'Unknown browser';
  return os.name ? `${program} on ${os.name}` : program;
}
