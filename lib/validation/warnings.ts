import type { ResolvedSessionAuthOptions } from '../session-auth.options.js';

/** Warns of options that do no harm, but hardly do what was meant. */
export function warningsOf({
  cookie,
  lifetime,
}: Pick<ResolvedSessionAuthOptions, 'cookie' | 'lifetime'>): readonly string[] {
  return [
    ...(cookie.sameSite === 'none' && cookie.secure !== true
      ? [
          'Option "cookie.sameSite": over plain HTTP browsers drop a cookie with "none", since it is not Secure then. ' +
            'Set cookie.secure to true, and use HTTPS.',
        ]
      : []),
    ...(Number.isFinite(lifetime.rotateEvery) && lifetime.rotationGrace >= lifetime.rotateEvery
      ? [
          'Option "lifetime.rotationGrace": it is not shorter than "lifetime.rotateEvery", so that secrets change less ' +
            'often than that, and copies of former ones stay good. Leave it out for 30 seconds.',
        ]
      : []),
  ];
}
