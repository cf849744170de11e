/** Exports for `check-examples.mjs` to find fault with. It proves at each run that it does. */
export const BARE = 1;

export interface BareOptions {
  value?: number;
}

/**
 * @example
 * ```ts
 * @Controller()
 * class GoodController {
 *   @Get()
 *   get(@CurrentUser() user: User) {
 *     return user.id;
 *   }
 * }
 * ```
 */
export const GOOD = 1;

/**
 * @example
 * ```ts
 * declare const user: User;
 * const id: string = user.id;
 * ```
 */
export const WRONG = 1;

/**
 * Code that is no example.
 *
 * ```ts
 * WRONG
 * ```
 */
export const UNMARKED = 1;

/**
 * @example
 * ```ts
 * function implicit(value) {}
 * new NoSuchName(;
 * ```
 */
export const BROKEN = 1;
