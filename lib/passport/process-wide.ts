import passport from 'passport';

/**
 * A value that exists once in a process, although this package may be loaded twice: as an ES module and as CommonJS.
 * It is kept on Passport's singleton, which is the same for both.
 */
export function processWide<T>(name: string, create: () => T): T {
  const holder = passport as unknown as Record<symbol, T | undefined>;
  return (holder[Symbol.for(`nestjs-session-auth:${name}`)] ??= create());
}
