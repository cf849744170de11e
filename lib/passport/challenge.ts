/** Passport's default status of a refusal. */
export const UNAUTHORIZED = 401;

/**
 * A challenge of HTTP authentication (RFC 9110, 11.6.1), such as `Bearer realm="Users"`: a scheme with parameters, or
 * one of the schemes that go without.
 */
const CHALLENGE =
  /^(?:[\w!#$%&'*+.^`|~-]+ +[\w!#$%&'*+.^`|~-]+ *=|(?:Basic|Bearer|DPoP|Negotiate|NTLM)(?: [\w~+/.-]+=*)?$)/i;

/** What no header can carry. */
const UNSENDABLE = /[^\t\x20-\x7e\x80-\xff]/;

/** The message of a refusal: a text, or that of an object or error. A challenge is for the header, and has none. */
export function messageOf(challenge: unknown): string | undefined {
  const isObject = typeof challenge === 'object' && challenge !== null;
  const message: unknown = isObject && 'message' in challenge ? challenge.message : challenge;
  const isText = typeof message === 'string' && message !== '' && (isObject || !CHALLENGE.test(message));
  return isText ? message : undefined;
}

/** The status of a refusal: the one that the strategy has chosen, else 401. */
export function statusOf(challenge: unknown, status: number | undefined): number {
  return status ?? (typeof challenge === 'number' ? challenge : UNAUTHORIZED);
}

/** Passport sends a text as `WWW-Authenticate`, and throws where no header can carry it. Such a one is a message only. */
export function sendable(challenge: unknown): unknown {
  return typeof challenge === 'string' && UNSENDABLE.test(challenge) ? { message: challenge } : challenge;
}
