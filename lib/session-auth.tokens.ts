/** Injection token of the options, defaults filled in: {@link ResolvedSessionAuthOptions}. */
export const SESSION_AUTH_OPTIONS = Symbol('nestjs-session-auth:options');
