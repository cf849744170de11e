import { types } from 'node:util';
import type { ResolvedSessionAuthOptions, SessionAuthOptions } from '../session-auth.options.js';
import { demand } from './checks.js';

/** A scheme, a host and perhaps a port. A star in it would be taken for a pattern. */
const ORIGIN = /^[a-z][a-z\d+.-]*:\/\/[^\s/?#@\\*]+$/;
const REMEDY =
  'Give scheme, host and port as browsers do, such as "https://app.example.com", or a RegExp over all of that.';

/** The origins, each pattern such that it matches whole ones alone. */
export function resolveTrustedOrigins(
  origins: NonNullable<SessionAuthOptions['trustedOrigins']>,
): ResolvedSessionAuthOptions['trustedOrigins'] {
  demand(Array.isArray(origins), 'trustedOrigins', 'it is no list', 'As in ["https://app.example.com"].');
  return origins.map((origin) => {
    if (types.isRegExp(origin)) {
      return new RegExp(`^(?:${origin.source})$`, origin.flags.replaceAll(/[gmy]/g, ''));
    }
    demand(isOrigin(origin), 'trustedOrigins', `${JSON.stringify(origin)} is no origin`, REMEDY);
    return origin;
  });
}

/** Whether browsers write an origin so: in lower case, and without its scheme's own port. */
function isOrigin(value: unknown): boolean {
  if (typeof value !== 'string' || !ORIGIN.test(value) || !URL.canParse(value)) {
    return false;
  }
  const { origin } = new URL(value);
  return origin === value || origin === 'null'; // Schemes that are no standard's, such as an app's own, have none.
}
