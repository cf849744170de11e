import Bowser from 'bowser';
import type { Device } from 'nestjs-session-auth';

const relative = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
const clock = new Intl.DateTimeFormat('en-GB', {
  day: 'numeric',
  month: 'short',
  hour: '2-digit',
  minute: '2-digit',
  timeZone: 'UTC',
});

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

/** `Firefox on Linux`. A user agent says what it likes: these are words to show, escaped, and not to trust. */
export function deviceInWords({ userAgent }: Device): { name: string; kind: 'computer' | 'phone' } {
  if (!userAgent) return { name: 'Unknown browser', kind: 'computer' };
  const { browser, os, platform } = Bowser.parse(userAgent);
  // Programs name themselves in front: `curl/8.5.0`.
  const program = browser.name || userAgent.split(/[/ ]/)[0] || 'Unknown browser';
  const isPhone = platform.type === 'mobile' || platform.type === 'tablet';
  return { name: os.name ? `${program} on ${os.name}` : program, kind: isPhone ? 'phone' : 'computer' };
}

/** `::ffff:192.0.2.1` is how an IPv6 socket spells an IPv4 address. */
export function addressInWords({ ip }: Device): string {
  return ip?.replace(/^::ffff:/, '') ?? 'unknown address';
}

/** `2 minutes ago`, `in 10 minutes`, `now`. */
export function fromNow(time: Date): string {
  const seconds = Math.round((time.getTime() - Date.now()) / 1000);
  const [unit, size] = UNITS.find(([, size]) => Math.abs(seconds) >= size) ?? ['second', 1];
  return relative.format(Math.round(seconds / size), unit);
}

/** `6 Aug, 14:32 UTC`. */
export function atTime(time: Date): string {
  return `${clock.format(time)} UTC`;
}
