import { InvalidOptionError } from '../session-auth.errors.js';

/** For refusals that hold in production alone, so that nobody wonders why they are in production. */
export const WHAT_IS_PRODUCTION = 'Production is every NODE_ENV but "development", "test" and none.';

/** Whether `NODE_ENV` means production. A value that nobody knows does: a mistyped one must not switch checks off. */
export function isProduction(env: string | undefined): boolean {
  return env !== undefined && env !== 'development' && env !== 'test';
}

/**
 * Refuses an option unless the condition holds.
 *
 * @throws InvalidOptionError
 */
export function demand(condition: boolean, option: string, problem: string, remedy: string): asserts condition {
  if (!condition) {
    throw new InvalidOptionError(option, problem, remedy);
  }
}

export function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}

/**
 * Refuses a key that is no option. A typing mistake would otherwise mean the default, silently.
 *
 * @param known an object with the known options as its keys
 * @param counterparts what to do about options of express-session, by their names
 */
export function refuseUnknown(
  options: object,
  known: object,
  path: string,
  counterparts: Readonly<Record<string, string>> = {},
): void {
  const unknown = Object.keys(options).find((key) => !Object.hasOwn(known, key));
  const counterpart = unknown !== undefined && Object.hasOwn(counterparts, unknown) ? counterparts[unknown] : undefined;
  const remedy = counterpart ?? `Known: ${Object.keys(known).join(', ')}.`;
  demand(unknown === undefined, `${path}${unknown}`, 'there is no such option', remedy);
}

export function requireMethods(option: string, value: unknown, methods: readonly string[], remedy: string): void {
  for (const method of methods) {
    const given = (value as Record<string, unknown> | null)?.[method];
    demand(typeof given === 'function', option, `it has no method "${method}"`, remedy);
  }
}

export function oneOf<const T extends string>(option: string, value: T, allowed: readonly T[]): T {
  demand(allowed.includes(value), option, `${JSON.stringify(value)} is not known`, `Choose ${allowed.join(' or ')}.`);
  return value;
}
