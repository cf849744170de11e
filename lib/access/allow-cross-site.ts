import { type CustomDecorator, SetMetadata } from '@nestjs/common';
import { GUARDS_METADATA } from '@nestjs/common/constants.js';
import { isMarked } from './marks.js';

const ALLOWS_CROSS_SITE = 'nestjs-session-auth:allow-cross-site';
const LOGIN_GUARD = 'nestjs-session-auth:login-guard';

/**
 * Opens a route to requests from other sites that show a session cookie, and to logins from there. Without it they get
 * 403, code `cross_site_request`, unless their origin is one of the option `trustedOrigins`. Use it where another
 * site's page may act in the name of who is logged in here, or where the route has a defence of its own, such as a
 * signed state. Requests without a session cookie need no mark, but for a login.
 *
 * For a method, or for the routes of that very class (inherited methods included, those of its subclasses not).
 *
 * @example
 * ```ts
 * @Controller('payments')
 * class PaymentsController {
 *   // The bank sends the browser back by a form, which is posted from its own page.
 *   @Post('return')
 *   @AllowCrossSite()
 *   comeBack(@Body('reference') reference: string) {
 *     return { reference };
 *   }
 * }
 * ```
 */
export const AllowCrossSite = (): CustomDecorator => SetMetadata(ALLOWS_CROSS_SITE, true);

/** Marks a class of guards that log in. Its subclasses are marked, too. */
export function markLoginGuard(guard: object, crossSite: boolean): void {
  Reflect.defineMetadata(LOGIN_GUARD, { crossSite }, guard);
}

/** What a route, or a field of GraphQL, says of requests from other sites. */
export interface CrossSiteMarks {
  /** Its guards log in: it is refused without a session cookie, too. */
  readonly logsIn: boolean;
  /** It is open to other sites. */
  readonly isOpen: boolean;
}

/** The marks of a handler and its class. */
export function crossSiteMarks(type: object, handler: object): CrossSiteMarks {
  const targets = [type, handler];
  const logins = targets.flatMap(loginGuardsOn);
  const admitsLogins = logins.length > 0 && logins.every(({ crossSite }) => crossSite);
  return {
    logsIn: logins.length > 0,
    isOpen: admitsLogins || targets.some((target) => isMarked(ALLOWS_CROSS_SITE, target)),
  };
}

function loginGuardsOn(target: object): { crossSite: boolean }[] {
  const guards = [Reflect.getMetadata(GUARDS_METADATA, target) ?? []].flat() as unknown[];
  return guards.flatMap((guard) => {
    const type = typeof guard === 'function' ? guard : (guard as object | null)?.constructor;
    return type === undefined
      ? []
      : ((Reflect.getMetadata(LOGIN_GUARD, type) as { crossSite: boolean } | undefined) ?? []);
  });
}
