import { SetMetadata } from '@nestjs/common';
import { SSE_METADATA } from '@nestjs/common/constants.js';

const MARK = 'nestjs-session-auth:ends-with-session';

/**
 * Has responses end with the session of their request, as those of `@Sse()` do by themselves: a long download or a
 * stream that the handler writes is broken off when the user logs out, when their session is revoked or when it expires.
 * The connection is destroyed, so that the client does not take half for the whole.
 *
 * A mark on a method wins over one on its class. The subclasses of a class that is marked are marked too, but not those of
 * a class that is marked with `false`.
 *
 * @param on `false` leaves responses alone that would end with their session
 *
 * @example
 * ```ts
 * @Controller('exports')
 * @UseGuards(SessionGuard)
 * class ExportsController {
 *   @Get('all')
 *   @EndsWithSession()
 *   all() {
 *     return new StreamableFile(createReadStream('all.csv'));
 *   }
 *
 *   @Sse('weather')
 *   @EndsWithSession(false) // Everybody may know.
 *   weather() {
 *     return interval(60_000).pipe(map(() => ({ data: 'rain' })));
 *   }
 * }
 * ```
 */
export const EndsWithSession = (on = true): ClassDecorator & MethodDecorator => SetMetadata(MARK, on);

/** Whether the responses of a route end with their session. */
export function endsWithSession(handler: object, controller: object): boolean {
  const inherited = Reflect.getMetadata(MARK, controller) === true || undefined;
  const marks = [Reflect.getMetadata(MARK, handler), Reflect.getOwnMetadata(MARK, controller), inherited] as unknown[];
  return Boolean(marks.find((mark) => mark !== undefined) ?? isEventStream(handler));
}

/** Whether `@Sse()` stands on the handler. */
export function isEventStream(handler: object): boolean {
  return Reflect.getMetadata(SSE_METADATA, handler) === true;
}
