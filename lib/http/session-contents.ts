import type { SessionData } from 'express-session';

/**
 * What the application keeps in a session: the properties of `req.session`, with the types that the application declares
 * for those.
 *
 * @example
 * ```ts
 * function addToCart(item: string) {
 *   return (data: SessionContents) => {
 *     data['cart'] = [...((data['cart'] as string[] | undefined) ?? []), item];
 *   };
 * }
 * ```
 */
export type SessionContents = Omit<Partial<SessionData>, 'cookie'> & Record<string, unknown>;
