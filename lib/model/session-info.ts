/**
 * The device that a user logged in on.
 *
 * @example
 * ```ts
 * SessionAuthModule.forRoot({
 *   secret: process.env.SESSION_SECRET,
 *   device: ({ headers }): Device => ({ userAgent: headers['user-agent'] }), // Remembers no address.
 * });
 * ```
 */
export interface Device {
  ip?: string;
  userAgent?: string;
  /** A name of your own, such as "Ada's phone". */
  label?: string;
}

/**
 * The device of a request, by the option `device`: the known properties, and of these only strings. Others could not be
 * read back.
 */
export function deviceOf<Request>(
  device: false | ((request: Request) => Device | undefined),
  request: Request,
): Device | undefined {
  if (device === false) {
    return undefined;
  }
  const { ip, userAgent, label } = device(request) ?? {};
  return Object.fromEntries(
    Object.entries({ ip, userAgent, label }).filter(([, value]: [string, unknown]) => typeof value === 'string'),
  );
}

/**
 * What a user may see of one of their sessions. Nothing in it opens the session.
 *
 * @example
 * ```ts
 * function line({ device, seenAt, expiresAt }: SessionInfo): string {
 *   return `${device.label ?? device.userAgent}: last used ${seenAt.toISOString()}, ends ${expiresAt.toISOString()}`;
 * }
 * ```
 */
export interface SessionInfo {
  /** Public name of the session: for device lists, logs and revocation. */
  readonly handle: string;
  /** Whose it is: the id that `UserSerializer.userId()` gave, as text, and `kind:id` where the serializer has a kind. */
  readonly userId: string;
  /** When this session was opened. */
  readonly createdAt: Date;
  /** When the user last proved who they are. 1970 for a session that was carried over (option `adopt`): nobody knows. */
  readonly authenticatedAt: Date;
  /** When the session was last used, to the precision of `lifetime.touchEvery`. */
  readonly seenAt: Date;
  /** When the session ends unless it is used before. */
  readonly expiresAt: Date;
  readonly device: Device;
}
