import { applyDecorators } from '@nestjs/common';
import {
  ApiCookieAuth,
  ApiExtraModels,
  ApiForbiddenResponse,
  ApiServiceUnavailableResponse,
  ApiUnauthorizedResponse,
  getSchemaPath,
} from '@nestjs/swagger';
import {
  SessionCrossSiteRequest,
  SessionFreshLoginRequired,
  SessionLoginIncomplete,
  SessionTemporaryFailure,
  SessionUnauthenticated,
} from './response-bodies.js';
import { SESSION_SCHEME } from './session-scheme.js';

/** The bodies of a 401, by their `code`. */
const UNAUTHORIZED = {
  unauthenticated: SessionUnauthenticated,
  login_incomplete: SessionLoginIncomplete,
  fresh_login_required: SessionFreshLoginRequired,
};

/**
 * Documents routes that need a login, by `SessionGuard` or `@RequireFreshLogin()`: the session cookie as their security
 * requirement, and the bodies of 401, 403 and 503. It guards nothing.
 *
 * For a class or a method. On a class, what a method documents for one of these statuses by itself stands in the place of
 * that; on one method, `@nestjs/swagger` mixes the two. On a method, name the success as well (`@ApiOkResponse()`), as
 * with every response of `@nestjs/swagger`.
 *
 * @example
 * ```ts
 * @Controller('account')
 * @UseGuards(SessionGuard)
 * @ApiSession()
 * class AccountController {
 *   @Get()
 *   show(@CurrentUser() user: User) {
 *     return user;
 *   }
 * }
 * ```
 */
export function ApiSession(): ClassDecorator & MethodDecorator {
  const refs = Object.entries(UNAUTHORIZED).map(([code, body]): [string, string] => [code, getSchemaPath(body)]);
  return applyDecorators(
    ApiCookieAuth(SESSION_SCHEME),
    ApiExtraModels(...Object.values(UNAUTHORIZED)),
    ApiUnauthorizedResponse({
      description: 'Nobody is logged in, or not as the route requires. The code tells which.',
      schema: {
        oneOf: refs.map(([, $ref]) => ({ $ref })),
        discriminator: { propertyName: 'code', mapping: Object.fromEntries(refs) },
      },
    }),
    ApiForbiddenResponse({
      description: 'A page of another site has sent this.',
      type: SessionCrossSiteRequest,
    }),
    ApiServiceUnavailableResponse({
      description: 'Nobody can tell now who this is, or the session could not be saved. Try again.',
      type: SessionTemporaryFailure,
    }),
  );
}
